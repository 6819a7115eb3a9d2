"""Sentences of word problems in five languages; {} stands for a number of 2 or more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Language = Literal["english", "german", "french", "spanish", "chinese"]
Change = Literal["more", "less", "times", "share"]


@dataclass(frozen=True)
class Story:
    """A quantity that changes: its first value, a sentence for each change, and the question."""

    opening: str
    more: str
    less: str
    times: str
    share: str
    asked: str

    def sentence(self, change: Change) -> str:
        """The sentence of a change."""
        return {
            "more": self.more,
            "less": self.less,
            "times": self.times,
            "share": self.share,
        }[change]


INSTRUCTIONS: Mapping[Language, str] = {
    "english": "Think step by step. Then give the final answer as one number, like this: "
    "\\boxed{number}",
    "german": "Denke Schritt für Schritt. Gib dann die endgültige Antwort als eine Zahl an, so: "
    "\\boxed{Zahl}",
    "french": "Réfléchis étape par étape. Donne ensuite la réponse finale sous la forme d'un seul "
    "nombre, ainsi : \\boxed{nombre}",
    "spanish": "Piensa paso a paso. Da después la respuesta final como un solo número, así: "
    "\\boxed{número}",
    "chinese": "请一步一步思考，然后用一个数字给出最终答案，格式如下：\\boxed{数字}",
}
SPACES: Mapping[Language, str] = {
    "english": " ",
    "german": " ",
    "french": " ",
    "spanish": " ",
    "chinese": "",
}
"""What stands between two sentences."""

_ENGLISH = (
    Story(
        "A bakery has {} rolls.",
        "It bakes {} more rolls.",
        "It sells {} rolls.",
        "Then it bakes until it has {} times as many rolls as before.",
        "It divides all rolls equally among {} bags and keeps only one bag.",
        "How many rolls does the bakery have now?",
    ),
    Story(
        "A library owns {} books.",
        "It buys {} more books.",
        "It gives away {} books.",
        "Then donations bring it to {} times as many books as before.",
        "It divides all books equally among {} shelves and keeps only the books of one shelf.",
        "How many books does the library own now?",
    ),
    Story(
        "A farmer has {} apples.",
        "She picks {} more apples.",
        "She sells {} apples.",
        "Then she picks until she has {} times as many apples as before.",
        "She divides all apples equally among {} baskets and keeps only one basket.",
        "How many apples does the farmer have now?",
    ),
    Story(
        "Mia has {} stamps.",
        "Her aunt gives her {} stamps.",
        "She gives {} stamps to a friend.",
        "Then she collects until she has {} times as many stamps as before.",
        "She divides all stamps equally among {} albums and keeps only one album.",
        "How many stamps does Mia have now?",
    ),
)
_GERMAN = (
    Story(
        "Eine Bäckerei hat {} Brötchen.",
        "Sie backt {} weitere Brötchen.",
        "Sie verkauft {} Brötchen.",
        "Danach backt sie, bis sie {}-mal so viele Brötchen hat wie zuvor.",
        "Sie verteilt alle Brötchen gleichmäßig auf {} Tüten und behält nur eine Tüte.",
        "Wie viele Brötchen hat die Bäckerei jetzt?",
    ),
    Story(
        "Eine Bibliothek besitzt {} Bücher.",
        "Sie kauft {} weitere Bücher.",
        "Sie verschenkt {} Bücher.",
        "Danach hat sie durch Spenden {}-mal so viele Bücher wie zuvor.",
        "Sie verteilt alle Bücher gleichmäßig auf {} Regale und behält nur die Bücher eines "
        "Regals.",
        "Wie viele Bücher besitzt die Bibliothek jetzt?",
    ),
    Story(
        "Eine Bäuerin hat {} Äpfel.",
        "Sie pflückt {} weitere Äpfel.",
        "Sie verkauft {} Äpfel.",
        "Danach pflückt sie, bis sie {}-mal so viele Äpfel hat wie zuvor.",
        "Sie verteilt alle Äpfel gleichmäßig auf {} Körbe und behält nur einen Korb.",
        "Wie viele Äpfel hat die Bäuerin jetzt?",
    ),
    Story(
        "Mia hat {} Briefmarken.",
        "Ihre Tante schenkt ihr {} Briefmarken.",
        "Sie gibt einer Freundin {} Briefmarken.",
        "Danach sammelt sie, bis sie {}-mal so viele Briefmarken hat wie zuvor.",
        "Sie verteilt alle Briefmarken gleichmäßig auf {} Alben und behält nur ein Album.",
        "Wie viele Briefmarken hat Mia jetzt?",
    ),
)
_FRENCH = (
    Story(
        "Une boulangerie a {} petits pains.",
        "Elle cuit {} petits pains de plus.",
        "Elle vend {} petits pains.",
        "Ensuite, elle en cuit jusqu'à avoir {} fois autant de petits pains qu'avant.",
        "Elle répartit tous les petits pains également dans {} sacs et ne garde qu'un seul sac.",
        "Combien de petits pains la boulangerie a-t-elle maintenant ?",
    ),
    Story(
        "Une bibliothèque possède {} livres.",
        "Elle achète {} livres de plus.",
        "Elle donne {} livres.",
        "Ensuite, grâce à des dons, elle a {} fois autant de livres qu'avant.",
        "Elle répartit tous les livres également sur {} étagères et ne garde que les livres d'une "
        "seule étagère.",
        "Combien de livres la bibliothèque possède-t-elle maintenant ?",
    ),
    Story(
        "Une fermière a {} pommes.",
        "Elle cueille {} pommes de plus.",
        "Elle vend {} pommes.",
        "Ensuite, elle en cueille jusqu'à avoir {} fois autant de pommes qu'avant.",
        "Elle répartit toutes les pommes également dans {} paniers et ne garde qu'un seul panier.",
        "Combien de pommes la fermière a-t-elle maintenant ?",
    ),
    Story(
        "Mia a {} timbres.",
        "Sa tante lui donne {} timbres.",
        "Elle donne {} timbres à une amie.",
        "Ensuite, elle en collectionne jusqu'à avoir {} fois autant de timbres qu'avant.",
        "Elle répartit tous les timbres également dans {} albums et ne garde qu'un seul album.",
        "Combien de timbres Mia a-t-elle maintenant ?",
    ),
)
_SPANISH = (
    Story(
        "Una panadería tiene {} panecillos.",
        "Hornea {} panecillos más.",
        "Vende {} panecillos.",
        "Después hornea hasta tener {} veces la cantidad anterior de panecillos.",
        "Reparte todos los panecillos por igual en {} bolsas y se queda con una sola bolsa.",
        "¿Cuántos panecillos tiene ahora la panadería?",
    ),
    Story(
        "Una biblioteca posee {} libros.",
        "Compra {} libros más.",
        "Regala {} libros.",
        "Después tiene, gracias a donaciones, {} veces la cantidad anterior de libros.",
        "Reparte todos los libros por igual en {} estantes y se queda solo con los libros de un "
        "estante.",
        "¿Cuántos libros posee ahora la biblioteca?",
    ),
    Story(
        "Una agricultora tiene {} manzanas.",
        "Recoge {} manzanas más.",
        "Vende {} manzanas.",
        "Después recoge hasta tener {} veces la cantidad anterior de manzanas.",
        "Reparte todas las manzanas por igual en {} cestas y se queda con una sola cesta.",
        "¿Cuántas manzanas tiene ahora la agricultora?",
    ),
    Story(
        "Mia tiene {} sellos.",
        "Su tía le regala {} sellos.",
        "Le da {} sellos a una amiga.",
        "Después colecciona hasta tener {} veces la cantidad anterior de sellos.",
        "Reparte todos los sellos por igual en {} álbumes y se queda con un solo álbum.",
        "¿Cuántos sellos tiene Mia ahora?",
    ),
)
_CHINESE = (
    Story(
        "一家面包店有{}个面包。",
        "它又烤了{}个面包。",
        "它卖出了{}个面包。",
        "接着它继续烤，直到面包的数量变成原来的{}倍。",
        "它把所有面包平均装进{}个袋子，只留下其中一袋。",
        "现在面包店有多少个面包？",
    ),
    Story(
        "一座图书馆有{}本书。",
        "它又买了{}本书。",
        "它送出了{}本书。",
        "接着通过捐赠，书的数量变成原来的{}倍。",
        "它把所有书平均放到{}个书架上，只留下其中一个书架的书。",
        "现在图书馆有多少本书？",
    ),
    Story(
        "一位农民有{}个苹果。",
        "她又摘了{}个苹果。",
        "她卖掉了{}个苹果。",
        "接着她继续摘，直到苹果的数量变成原来的{}倍。",
        "她把所有苹果平均放进{}个篮子，只留下其中一篮。",
        "现在这位农民有多少个苹果？",
    ),
    Story(
        "米娅有{}张邮票。",
        "她的阿姨送给她{}张邮票。",
        "她送给朋友{}张邮票。",
        "接着她继续收集，直到邮票的数量变成原来的{}倍。",
        "她把所有邮票平均放进{}本集邮册，只留下其中一本。",
        "现在米娅有多少张邮票？",
    ),
)
STORIES: Mapping[Language, tuple[Story, ...]] = {
    "english": _ENGLISH,
    "german": _GERMAN,
    "french": _FRENCH,
    "spanish": _SPANISH,
    "chinese": _CHINESE,
}
"""The same stories in the same order in each language."""

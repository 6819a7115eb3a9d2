"""Questions that one or two paragraphs answer, among similar distractor paragraphs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from forethought.contracts.questions import Measure, Question
from forethought.tasks.ruler._facts import Pair, pairs
from forethought.tasks.ruler._haystack import growing
from forethought.tasks.ruler._length import depths, dice, fitted, placed


@dataclass(frozen=True)
class DocumentQuestion:
    """A question, its answer and the paragraphs that hold it."""

    text: str
    answer: str
    needed: list[str]


def one_hop(pair: Pair) -> list[DocumentQuestion]:
    """Questions that one paragraph of the pair answers."""
    return [
        DocumentQuestion(text, answer, [of.paragraph()])
        for of in (pair.person, pair.company)
        for text, answer in of.asked().items()
    ]


def two_hops(pair: Pair) -> list[DocumentQuestion]:
    """Questions that need both paragraphs: facts of a company that is named by its employee."""
    needed = [pair.person.paragraph(), pair.company.paragraph()]
    called = f"the company that {pair.person.name} works for"
    return [
        DocumentQuestion(text, answer, needed)
        for text, answer in pair.company.asked(called).items()
    ]


@dataclass(frozen=True)
class Documents:
    """Settings of one document task."""

    task: str
    hops: int
    """Paragraphs needed for an answer: 1 or 2."""

    def questions(self, tokens: int, count: int, seed: int, measure: Measure) -> Iterator[Question]:
        """The questions in order."""
        for number in range(count):
            yield self._question(tokens, seed, number, measure)

    def _question(self, tokens: int, seed: int, number: int, measure: Measure) -> Question:
        random = dice(self.task, seed, number)
        world = pairs(random)
        asked = random.choice((one_hop if self.hops == 1 else two_hops)(next(world)))
        at = depths(self.task, seed, number, len(asked.needed))
        others = growing(_paragraphs(world, random))

        def made(length: int) -> Question:
            return Question(
                identifier=f"{self.task}-{number}",
                text=f"{asked.text} Answer from the documents above, with the answer only.",
                document=_numbered(placed(others(length), asked.needed, at)),
                answers=(asked.answer,),
                data={"depths": at},
            )

        return fitted(made, tokens, measure, least=1)


def _paragraphs(world: Iterator[Pair], random: Random) -> Iterator[str]:
    """Distractor paragraphs; the two of a pair are separated."""
    waiting: list[str] = []
    for pair in world:
        waiting += [pair.person.paragraph(), pair.company.paragraph()]
        while len(waiting) > 8:
            yield waiting.pop(random.randrange(len(waiting)))


def _numbered(paragraphs: list[str]) -> str:
    return "\n\n".join(
        f"Document {number}:\n{text}" for number, text in enumerate(paragraphs, start=1)
    )

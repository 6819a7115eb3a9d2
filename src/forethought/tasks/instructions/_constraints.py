"""Kinds of constraints: the instruction of each, and its check of a text."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal, Protocol, Self

from forethought.numerics.language import language_of
from forethought.tasks.instructions import _text
from forethought.tasks.instructions._topics import FIRST, KEYS, LAST, REQUIRED, Topic

_COMMAS = ",\uff0c\u3001\u060c"  # Latin, full width, ideographic and Arabic


class Constraint(Protocol):
    """A constraint on a text; a frozen dataclass of plain JSON values."""

    @classmethod
    def drawn(cls, random: Random, topic: Topic) -> Self:
        """A random constraint of this kind."""
        ...

    def asked(self) -> str:
        """The instruction, one sentence."""
        ...

    def met(self, text: str) -> bool:
        """Whether a text that is not empty, as `_text.plain` gives it, meets the constraint."""
        ...


@dataclass(frozen=True)
class Words(Constraint):
    """The number of words."""

    least: int
    most: int
    """0 for no maximum."""

    @classmethod
    def drawn(cls, random: Random, topic: Topic) -> Self:
        """A minimum or a maximum."""
        number = random.randrange(30, 71, 5)
        return cls(number, 0) if random.random() < 0.5 else cls(0, number)

    def asked(self) -> str:
        """The bound."""
        return (
            f"Use at most {self.most} words." if self.most else f"Use {self.least} words or more."
        )

    def met(self, text: str) -> bool:
        """Whether the number of words is within the bounds."""
        count = len(_text.words(text))
        return count >= self.least and (not self.most or count <= self.most)


@dataclass(frozen=True)
class Sentences(Constraint):
    """The number of sentences."""

    count: int

    @classmethod
    def drawn(cls, random: Random, topic: Topic) -> Self:
        """Two to five sentences."""
        return cls(random.randint(2, 5))

    def asked(self) -> str:
        """The number."""
        return f"Write exactly {self.count} sentences."

    def met(self, text: str) -> bool:
        """Whether the text has that many sentences."""
        return _text.sentences(text) == self.count


@dataclass(frozen=True)
class Paragraphs(Constraint):
    """The number of paragraphs."""

    count: int

    @classmethod
    def drawn(cls, random: Random, topic: Topic) -> Self:
        """Two to four paragraphs."""
        return cls(random.randint(2, 4))

    def asked(self) -> str:
        """The number."""
        return f"Write exactly {self.count} paragraphs, with a blank line between two of them."

    def met(self, text: str) -> bool:
        """Whether the text has that many paragraphs."""
        return len(_text.paragraphs(text)) == self.count


@dataclass(frozen=True)
class Bullets(Constraint):
    """The number of bullet points."""

    count: int

    @classmethod
    def drawn(cls, random: Random, topic: Topic) -> Self:
        """Three to six bullet points."""
        return cls(random.randint(3, 6))

    def asked(self) -> str:
        """The number and the form."""
        return (
            f"Use exactly {self.count} bullet points, each on a line that begins with a hyphen "
            "and a space."
        )

    def met(self, text: str) -> bool:
        """Whether the text has that many bullet points."""
        return len(_text.bullets(text)) == self.count


@dataclass(frozen=True)
class Include(Constraint):
    """Words that must occur."""

    words: tuple[str, ...]

    @classmethod
    def drawn(cls, random: Random, topic: Topic) -> Self:
        """Two words that the topic does not suggest."""
        return cls(tuple(random.sample(REQUIRED, 2)))

    def asked(self) -> str:
        """The words."""
        return f"Use the words {_listed(self.words)}."

    def met(self, text: str) -> bool:
        """Whether each word occurs, in any case."""
        return _text.vocabulary(text) >= set(self.words)


@dataclass(frozen=True)
class Forbid(Constraint):
    """Words that must not occur."""

    words: tuple[str, ...]

    @classmethod
    def drawn(cls, random: Random, topic: Topic) -> Self:
        """Two words that the topic suggests."""
        return cls(tuple(random.sample(topic.words, 2)))

    def asked(self) -> str:
        """The words."""
        return f"Do not use the words {_listed(self.words)}."

    def met(self, text: str) -> bool:
        """Whether none of the words occurs, in any case."""
        return not _text.vocabulary(text) & set(self.words)


@dataclass(frozen=True)
class Case(Constraint):
    """The case of all letters."""

    case: Literal["lower", "capital"]

    @classmethod
    def drawn(cls, random: Random, topic: Topic) -> Self:
        """Lower case or capitals."""
        return cls("lower" if random.random() < 0.5 else "capital")

    def asked(self) -> str:
        """The case."""
        if self.case == "lower":
            return "Write everything in lower case, without any capital letter."
        return "Write everything in capital letters."

    def met(self, text: str) -> bool:
        """Whether the text has letters of this case, and none of the other."""
        lower, capital = any(map(str.islower, text)), any(map(str.isupper, text))
        return (lower, capital) == (self.case == "lower", self.case == "capital")


@dataclass(frozen=True)
class NoCommas(Constraint):
    """No commas of any script."""

    @classmethod
    def drawn(cls, random: Random, topic: Topic) -> Self:
        """The constraint, which has no settings."""
        return cls()

    def asked(self) -> str:
        """The constraint."""
        return "Do not use any comma."

    def met(self, text: str) -> bool:
        """Whether the text has no comma."""
        return not set(_COMMAS) & set(text)


@dataclass(frozen=True)
class FirstWords(Constraint):
    """The first words."""

    phrase: str

    @classmethod
    def drawn(cls, random: Random, topic: Topic) -> Self:
        """A phrase without punctuation."""
        return cls(random.choice(FIRST))

    def asked(self) -> str:
        """The phrase."""
        return f"Begin with exactly these words: {self.phrase}"

    def met(self, text: str) -> bool:
        """Whether the text begins with the phrase as whole words, after quotes or emphasis."""
        line = _one_line(text).lstrip(_text.OPENING)
        after = line.removeprefix(self.phrase)
        return after != line and not after[:1].isalnum()


@dataclass(frozen=True)
class LastSentence(Constraint):
    """The last words."""

    phrase: str

    @classmethod
    def drawn(cls, random: Random, topic: Topic) -> Self:
        """A sentence."""
        return cls(random.choice(LAST))

    def asked(self) -> str:
        """The phrase."""
        return f"End with exactly this sentence, and write nothing after it: {self.phrase}"

    def met(self, text: str) -> bool:
        """Whether nothing but quotes or emphasis follows the phrase."""
        line = _one_line(text).rstrip(_text.CLOSING)
        before = line.removesuffix(self.phrase)
        return before != line and not before[-1:].isalnum()


@dataclass(frozen=True)
class Title(Constraint):
    """A title in double angle brackets on the first line."""

    @classmethod
    def drawn(cls, random: Random, topic: Topic) -> Self:
        """The constraint, which has no settings."""
        return cls()

    def asked(self) -> str:
        """The form."""
        return "Put a title on the first line, in double angle brackets, such as <<My title>>."

    def met(self, text: str) -> bool:
        """Whether the first line is such a title, and text follows."""
        first, _, rest = text.partition("\n")
        line = first.strip("#*_ ")
        inner = line[2:-2]
        framed = line.startswith("<<") and line.endswith(">>") and not set("<>") & set(inner)
        return framed and not _text.is_empty(inner) and not _text.is_empty(rest)


@dataclass(frozen=True)
class Json(Constraint):
    """One JSON object with some keys."""

    keys: tuple[str, ...]

    @classmethod
    def drawn(cls, random: Random, topic: Topic) -> Self:
        """Two or three keys."""
        return cls(tuple(random.sample(KEYS, random.randint(2, 3))))

    def asked(self) -> str:
        """The form and the keys."""
        return (
            f"Reply with one JSON object and nothing else; its keys are {_listed(self.keys)}, and "
            "its values are strings."
        )

    def met(self, text: str) -> bool:
        """Whether the whole text is an object with exactly these keys and texts as values."""
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return False
        if not isinstance(found, dict) or set(found) != set(self.keys):
            return False
        return all(isinstance(one, str) and not _text.is_empty(one) for one in found.values())


@dataclass(frozen=True)
class Chinese(Constraint):
    """The language of the text."""

    @classmethod
    def drawn(cls, random: Random, topic: Topic) -> Self:
        """The constraint, which has no settings."""
        return cls()

    def asked(self) -> str:
        """The language."""
        return "Write the whole text in Chinese."

    def met(self, text: str) -> bool:
        """Whether the letters are Chinese."""
        return language_of(text) == "Chinese"


KINDS: Mapping[str, type[Constraint]] = {
    "words": Words,
    "sentences": Sentences,
    "paragraphs": Paragraphs,
    "bullets": Bullets,
    "include": Include,
    "forbid": Forbid,
    "case": Case,
    "no-commas": NoCommas,
    "starts": FirstWords,
    "ends": LastSentence,
    "title": Title,
    "json": Json,
    "chinese": Chinese,
}
_EXCLUDES: Mapping[str, frozenset[str]] = {
    "json": frozenset(KINDS) - {"json", "include", "forbid"},
    "chinese": frozenset({"words", "include", "forbid", "case", "starts", "ends"}),
    "case": frozenset({"starts", "ends"}),
    "sentences": frozenset({"paragraphs"}),
    "bullets": frozenset({"sentences", "paragraphs", "starts", "ends"}),
    "title": frozenset({"sentences", "paragraphs", "starts"}),
}
"""Kinds that one text cannot meet together, or whose counts would be unclear together."""


def compatible(kind: str, others: Collection[str]) -> bool:
    """Whether one text can meet a constraint of this kind and of all the others."""
    return all(
        kind != other
        and kind not in _EXCLUDES.get(other, ())
        and other not in _EXCLUDES.get(kind, ())
        for other in others
    )


def _listed(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}"


def _one_line(text: str) -> str:
    return " ".join(text.split())

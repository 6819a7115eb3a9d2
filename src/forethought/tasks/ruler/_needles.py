"""Needle-in-a-haystack questions: sentences with values of keys, some of which are asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count as numbers
from random import Random
from typing import Literal
from uuid import UUID

from forethought.contracts.errors import BadParameterError
from forethought.contracts.questions import Measure, Question
from forethought.tasks.ruler._haystack import Units, growing, units
from forethought.tasks.ruler._length import depths, dice, fitted, placed
from forethought.tasks.ruler._vocabulary import ADJECTIVES, NOUNS

_PAIRS = len({*ADJECTIVES}) * len({*NOUNS})
Form = Literal["words", "number", "code"]


@dataclass(frozen=True)
class Needles:
    """Settings of one needle task."""

    task: str
    haystack: str
    """noise, prose, a path, or needles (needles of other keys only)."""
    keys: int = 1
    """Keys with values in the text."""
    values: int = 1
    """Values per key."""
    asked: int = 1
    """Keys asked for."""
    key: Form = "words"
    value: Form = "number"

    def questions(self, tokens: int, count: int, seed: int, measure: Measure) -> Iterator[Question]:
        """The questions in order."""
        for number in range(count):
            yield self._question(tokens, seed, number, measure)

    def _question(self, tokens: int, seed: int, number: int, measure: Measure) -> Question:
        random = dice(self.task, seed, number)
        draw_key, draw_value = _distinct(self.key, random), _distinct(self.value, random)
        keys = [draw_key() for _ in range(self.keys)]
        values = [[draw_value() for _ in range(self.values)] for _ in keys]
        needles = [
            self._needle(key, one) for key, of in zip(keys, values, strict=True) for one in of
        ]
        at = depths(self.task, seed, number, len(needles))
        hay = self._hay(random, draw_key, draw_value)
        asked = self.asked * self.values

        def made(length: int) -> Question:
            return Question(
                identifier=f"{self.task}-{number}",
                text=self._text(keys[: self.asked]),
                document="".join(placed(hay(length), needles, at)).rstrip(),
                answers=tuple(one for of in values[: self.asked] for one in of),
                data={"depths": at[:asked]},
            )

        return fitted(made, tokens, measure, least=1)

    def _hay(
        self, random: Random, draw_key: Callable[[], str], draw_value: Callable[[], str]
    ) -> Units:
        if self.haystack != "needles":
            return units(self.haystack, random)
        return growing(self._needle(draw_key(), draw_value()) for _ in numbers())

    def _needle(self, key: str, value: str) -> str:
        end = "\n" if self.haystack == "needles" else " "
        return f"A special {self._noun()} for {key} is: {value}.{end}"

    def _text(self, keys: list[str]) -> str:
        noun, wanted = self._noun(), self.asked * self.values
        named = keys[0] if len(keys) == 1 else f"{', '.join(keys[:-1])} and {keys[-1]}"
        start = f"Special {noun}s are hidden in the text above. "
        if wanted == 1:
            return f"{start}What is the special {noun} for {named}? Answer with the {noun} only."
        return (
            f"{start}What are all {wanted} special {noun}s for {named}? "
            f"Answer with the {noun}s only, separated by commas."
        )

    def _noun(self) -> str:
        return "number" if self.value == "number" else "code"


def _distinct(form: Form, random: Random) -> Callable[[], str]:
    """A generator of distinct values of this form."""
    seen: set[str] = set()

    def draw() -> str:
        if form == "words" and len(seen) == _PAIRS:
            raise BadParameterError(
                f"there are only {_PAIRS} keys of two words", "give fewer tokens, keys or values"
            )
        while (drawn := _drawn(form, random)) in seen:
            continue
        seen.add(drawn)
        return drawn

    return draw


def _drawn(form: Form, random: Random) -> str:
    if form == "words":
        return f"{random.choice(ADJECTIVES)}-{random.choice(NOUNS)}"
    if form == "number":
        return str(random.randint(1_000_000, 9_999_999))
    return str(UUID(int=random.getrandbits(128), version=4))

"""What a chat template may spend: steps, characters and, in the last resort, time.

Steps and characters are counted, so that the same template and conversation always end alike;
the clock only bounds machines that are very slow.
"""

from __future__ import annotations

import time
from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, ValuesView
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateRuntimeError

STEPS, STEPS_PER_VALUE = 300_000, 2_000
CHARACTERS, CHARACTERS_PER_CHARACTER = 16_000_000, 64
SECONDS = 60.0
DEPTH = 64
"""Calls inside calls."""
READ_AT_ONCE = 64
"""Characters that are read in a step."""
CALL = 8
"""Steps that a call takes, beside what it does."""

_NUMBER = 24  # characters of a number as text, at most
_BETWEEN = 4  # characters between the members of a container as text
_STEPS_BETWEEN_LOOKS = 10_000  # at the clock
_CONTAINERS = (list, tuple, set, frozenset, KeysView, ValuesView, ItemsView)


class OverBudgetError(TemplateRuntimeError):
    """A template spent all that it may."""


@dataclass
class TemplateBudget:
    """What is left for one rendering."""

    steps: int
    characters: int
    depth: int = DEPTH
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._until = self.clock() + SECONDS
        self._next_look = self.steps - _STEPS_BETWEEN_LOOKS

    @classmethod
    def of(cls, conversation: Any) -> TemplateBudget:
        """What a template may spend on these values: a share of it follows their size."""
        size = weight(conversation)
        return cls(
            STEPS + STEPS_PER_VALUE * size.values + size.characters,
            CHARACTERS + CHARACTERS_PER_CHARACTER * size.characters,
        )

    def spend(self, steps: int, characters: int = 0) -> None:
        """Take so much; raises OverBudgetError where less is left."""
        self.steps -= steps
        self.characters -= characters
        if self.steps < 0:
            raise OverBudgetError("it takes more steps than a conversation of this size needs")
        if self.characters < 0:
            raise OverBudgetError("it writes more text than a conversation of this size needs")
        if self.steps < self._next_look:
            self._next_look = self.steps - _STEPS_BETWEEN_LOOKS
            if self.clock() > self._until:
                raise OverBudgetError(f"it takes more than {SECONDS:.0f} seconds")

    def enter(self) -> None:
        """Begin a call; raises OverBudgetError where calls nest too deep."""
        self.spend(CALL)
        self.depth -= 1
        if self.depth < 0:
            raise OverBudgetError(f"its calls nest more than {DEPTH} deep")

    def leave(self) -> None:
        """End a call."""
        self.depth += 1

    def read(self, *values: Any) -> None:
        """Spend the steps of reading values through."""
        size = weight(values, self.steps)
        self.spend(size.values + size.characters // READ_AT_ONCE)

    def write(self, *values: Any) -> None:
        """Spend the characters of values as text, before they become text."""
        size = weight(values, self.steps)
        self.spend(size.values, size.characters)

    def made(self, value: Any) -> None:
        """Spend what a new text or list takes."""
        if isinstance(value, str):
            self.spend(0, len(value))
        elif isinstance(value, list | tuple):
            self.spend(len(value))

    def each(self, values: Iterable[Any]) -> Iterator[Any]:
        """The same values, each read as it comes."""
        for value in values:
            self.read(value)
            yield value


spending: ContextVar[TemplateBudget] = ContextVar("spending")
"""The budget of the rendering under way; none while a template is compiled."""


@dataclass(frozen=True)
class Weight:
    """The size of a value, with all that it holds, as often as it holds it."""

    values: int
    characters: int


def weight(value: Any, most: int = 1 << 62) -> Weight:
    """The size of a value; raises OverBudgetError beyond `most` values.

    What a container holds twice counts twice: comparing or printing it takes as long.
    """
    values = characters = 0
    waiting = [value]
    while waiting:
        one = waiting.pop()
        values += 1
        if isinstance(one, str):
            characters += len(one)
        elif isinstance(one, dict):
            waiting += one.keys()
            waiting += one.values()
            characters += _BETWEEN * len(one)
        elif isinstance(one, _CONTAINERS):
            waiting += one
            characters += _BETWEEN * len(one)
        else:
            characters += _NUMBER
        if values + len(waiting) > most:
            raise OverBudgetError("it takes more steps than a conversation of this size needs")
    return Weight(values, characters)

"""The budget of a chat template: steps, characters and, as a last resort, time.

Steps and characters are counted, so a template's outcome on a conversation is deterministic. The
clock only bounds very slow machines.
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
"""Nested calls."""
READ_AT_ONCE = 64
"""Characters read per step."""
CALL = 8
"""Steps per call, besides the call's own work."""

_NUMBER = 24  # characters of a number as text, at most
_BETWEEN = 4  # characters between members when a container is printed
_STEPS_BETWEEN_CHECKS = 10_000  # between checks of the clock
_CONTAINERS = (list, tuple, set, frozenset, KeysView, ValuesView, ItemsView)


class OverBudgetError(TemplateRuntimeError):
    """A template exceeded its budget."""


@dataclass
class TemplateBudget:
    """The budget left for one rendering."""

    steps: int
    characters: int
    depth: int = DEPTH
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._until = self.clock() + SECONDS
        self._next_check = self.steps - _STEPS_BETWEEN_CHECKS

    @classmethod
    def of(cls, conversation: Any) -> TemplateBudget:
        """The budget for rendering these values; part of it grows with their size."""
        size = weight(conversation)
        return cls(
            STEPS + STEPS_PER_VALUE * size.values + size.characters,
            CHARACTERS + CHARACTERS_PER_CHARACTER * size.characters,
        )

    def spend(self, steps: int, characters: int = 0) -> None:
        """Spend steps and characters; OverBudgetError if too few are left."""
        self.steps -= steps
        self.characters -= characters
        if self.steps < 0:
            raise OverBudgetError("it takes more steps than a conversation of this size needs")
        if self.characters < 0:
            raise OverBudgetError("it writes more text than a conversation of this size needs")
        if self.steps < self._next_check:
            self._next_check = self.steps - _STEPS_BETWEEN_CHECKS
            if self.clock() > self._until:
                raise OverBudgetError(f"it takes more than {SECONDS:.0f} seconds")

    def enter(self) -> None:
        """Begin a call; OverBudgetError if calls nest too deeply."""
        self.spend(CALL)
        self.depth -= 1
        if self.depth < 0:
            raise OverBudgetError(f"its calls nest more than {DEPTH} deep")

    def leave(self) -> None:
        """End a call."""
        self.depth += 1

    def read(self, *values: Any) -> None:
        """Spend the steps of traversing values."""
        size = weight(values, self.steps)
        self.spend(size.values + size.characters // READ_AT_ONCE)

    def write(self, *values: Any) -> None:
        """Spend the characters of values before they become text."""
        size = weight(values, self.steps)
        self.spend(size.values, size.characters)

    def made(self, value: Any) -> None:
        """Spend the size of a new text or list."""
        if isinstance(value, str):
            self.spend(0, len(value))
        elif isinstance(value, list | tuple):
            self.spend(len(value))

    def each(self, values: Iterable[Any]) -> Iterator[Any]:
        """The same values; each is charged as it is consumed."""
        for value in values:
            self.read(value)
            yield value


current_budget: ContextVar[TemplateBudget] = ContextVar("template budget")
"""The budget of the current rendering; unset during compilation."""


@dataclass(frozen=True)
class Weight:
    """The size of a value with all its members, counted as often as they occur."""

    values: int
    characters: int


def weight(value: Any, most: int = 1 << 62) -> Weight:
    """The size of a value; OverBudgetError beyond `most` values.

    A member that occurs twice counts twice: comparing or printing it takes twice as long.
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

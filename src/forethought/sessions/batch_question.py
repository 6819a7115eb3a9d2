"""Questions for recipes, and their answers, when many are asked at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from forethought.contracts.errors import UsageError
from forethought.contracts.questions import Question, Task
from forethought.contracts.records import Run
from forethought.recipes.recipe import Recipe

Refuse = Callable[[int, UsageError], None]
"""Told the place of what cannot be answered, and why."""


@dataclass(frozen=True)
class BatchQuestion:
    """One question for one recipe."""

    recipe: Recipe
    question: str
    document: str = ""
    task: Task | None = None
    """Where it comes from, for scorers that must know."""
    source: Question | None = None
    """The question as its task has it, references included."""

    @property
    def posed(self) -> Question:
        """The question, whole."""
        return self.source or Question("", self.question, self.document)


@dataclass(frozen=True)
class BatchAnswer:
    """An answer, and the place of what asked for it."""

    place: int
    run: Run
    made: Mapping[str, str] = field(default_factory=dict)
    """What its provenance should tell of where it was made."""

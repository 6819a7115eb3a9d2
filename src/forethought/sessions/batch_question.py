"""The questions of a batch, and their answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from forethought.contracts.errors import UsageError
from forethought.contracts.questions import Question, Task
from forethought.contracts.records import Run
from forethought.recipes.recipe import Recipe

Refuse = Callable[[int, UsageError], None]
"""Called with the index of a question that cannot be answered, and the error."""


@dataclass(frozen=True)
class BatchQuestion:
    """One question for one recipe."""

    recipe: Recipe
    question: str
    document: str = ""
    task: Task | None = None
    """The task of the question, for scorers that need it."""
    source: Question | None = None
    """The task's question, references included."""

    @property
    def posed(self) -> Question:
        """The question with its references, if any."""
        return self.source or Question("", self.question, self.document)


@dataclass(frozen=True)
class BatchAnswer:
    """An answer, and the index of its question."""

    place: int
    run: Run
    made: Mapping[str, str] = field(default_factory=dict)
    """Facts on the server, for the sample's provenance."""

"""Cells of an evaluation: recipes on a group of questions, answered together.

An evaluation gives its missing samples to a `CellRunner` and stores the answers. `LocalCells`
answers them in this process, one cell after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from forethought.contracts.comparison import Refusal
from forethought.contracts.errors import ForethoughtError, UsageError
from forethought.contracts.questions import Measure
from forethought.evaluation.wanted_sample import SampleAnswer, WantedSample, by_question
from forethought.recipes.recipe import Recipe
from forethought.sessions.batch import Answers
from forethought.storage.replay_log import ReplayLog
from forethought.storage.store import Store


@dataclass
class OpenSamples:
    """The samples that an evaluation lacks, as its cells are answered."""

    store: Store
    baseline: str
    """Label of the first recipe, which may refuse no question."""
    missing: list[WantedSample]
    elsewhere: int = 0
    """Samples that another process stored meanwhile."""
    refused: dict[str, Refusal] = field(default_factory=dict)
    """The first refusal of each recipe, by its label."""

    @property
    def replay_log(self) -> ReplayLog:
        """The outcomes of requests, for searches."""
        return self.store.replay_log()

    def remaining(self, cell: Sequence[WantedSample]) -> list[WantedSample]:
        """The part of a cell that is neither stored nor refused; called just before it begins."""
        absent = [one for one in cell if not self.store.has(one.key)]
        self.elsewhere += len(cell) - len(absent)
        return [one for one in absent if one.name not in self.refused]

    def refuse(self, one: WantedSample, error: ForethoughtError) -> None:
        """Drop a recipe whose question does not fit; raises the error for the baseline."""
        if one.name == self.baseline:
            raise error
        found = Refusal(one.name, one.task, one.question.identifier, error.message, error.hint)
        self.refused.setdefault(one.name, found)


class CellRunner(Protocol):
    """Answers the samples of an evaluation, cell by cell."""

    def settled(self, recipe: Recipe) -> Recipe:
        """The recipe under the name of its stored answers; UsageError if nothing can run it."""
        ...

    def measure(self, recipe: Recipe) -> Measure:
        """Counts the tokens of texts for a recipe's model."""
        ...

    def answers(self, samples: OpenSamples) -> Iterator[SampleAnswer]:
        """Answer the missing samples, and yield each answer as soon as it is complete."""
        ...


@dataclass(frozen=True)
class LocalCells:
    """Answers cells in this process."""

    batches: Answers

    def settled(self, recipe: Recipe) -> Recipe:
        """See `Answers.settled`."""
        return self.batches.settled(recipe)

    def measure(self, recipe: Recipe) -> Measure:
        """See `Answers.measure`."""
        return self.batches.measure(recipe)

    def answers(self, samples: OpenSamples) -> Iterator[SampleAnswer]:
        """Answer one cell after the other."""
        # Missing samples only: a model with all its answers stored is never loaded.
        pay = min((self.batches.at_once(one.recipe) for one in samples.missing), default=1)
        for cell in cells(samples.missing, pay):
            yield from self._answered(samples.remaining(cell), samples)

    def _answered(
        self, cell: Sequence[WantedSample], samples: OpenSamples
    ) -> Iterator[SampleAnswer]:
        def refuse(place: int, error: UsageError) -> None:
            samples.refuse(cell[place], error)

        asks = [one.ask for one in cell]
        for answered in self.batches.answer(asks, refuse, samples.replay_log):
            yield SampleAnswer(cell[answered.place], answered.run.document(), answered.made)


def cells(missing: Sequence[WantedSample], at_once: int) -> Iterator[list[WantedSample]]:
    """Cells of whole questions: at most `at_once` answers each, and at least one question."""
    groups = by_question(missing)
    most = max(1, at_once // max(map(len, groups), default=1))
    for start in range(0, len(groups), most):
        yield [one for group in groups[start : start + most] for one in group]

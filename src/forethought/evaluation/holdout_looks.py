"""A reusable holdout over the questions of an evaluation.

Half of the questions is held out. Thresholdout answers for differences of scores to the first
recipe, and its state lies in the results file: later commands on the same questions share one
budget.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum

import numpy as np

from forethought.beliefs.holdout import FEWEST_ITEMS, HoldoutAnswer, Thresholdout, halves
from forethought.contracts.comparison import HoldoutChange, HoldoutChanges
from forethought.contracts.errors import BudgetSpentError, UsageError
from forethought.contracts.questions import Sample
from forethought.evaluation.wanted_sample import WantedSample
from forethought.recipes.identity import QUESTION_HASH, question_hash
from forethought.storage.holdouts import StoredHoldouts

ItemScores = Mapping[str, float]
"""Values of a recipe by the name of a question."""
_SEED = 0
"""Seed of the split and of the noise; commands that share a budget share both."""


def item_name(task: str, question: str) -> str:
    """A name that is unique among the questions of all tasks."""
    return f"{task}\n{question}"


@dataclass(frozen=True, order=True)
class HoldoutItem:
    """A question of a holdout."""

    task: str
    question: str
    cluster: str
    data: str
    """The hash of the question."""

    @classmethod
    def of_sample(cls, sample: Sample) -> HoldoutItem:
        """The question of a stored sample."""
        data = sample.provenance.get(QUESTION_HASH, "")
        return cls(sample.task, sample.question, sample.cluster, data)

    @property
    def name(self) -> str:
        """Unique among the questions of all tasks."""
        return item_name(self.task, self.question)


@dataclass(frozen=True)
class HoldoutSplit:
    """Questions by name, in two halves."""

    tuning: tuple[str, ...]
    holdout: tuple[str, ...]
    digest: str
    """A hash of all questions."""

    @classmethod
    def of(cls, items: Sequence[HoldoutItem]) -> HoldoutSplit:
        """Split at random, whole clusters together; tasks are spread evenly."""
        known = sorted(set(items))
        clusters = {one.name: f"{one.task}\n{one.cluster}" for one in known}
        kinds = {one.name: one.task for one in known}
        tuning, holdout = halves(clusters, np.random.default_rng(_SEED), kinds)
        told = json.dumps([[one.task, one.question, one.data] for one in known])
        return cls(tuple(tuning), tuple(holdout), hashlib.sha256(told.encode()).hexdigest())

    def seen(self, samples: Iterable[Sample]) -> list[Sample]:
        """The samples of the tuning half."""
        half = frozenset(self.tuning)
        return [one for one in samples if item_name(one.task, one.question) in half]

    @property
    def enough(self) -> bool:
        """Whether both halves are large enough for Thresholdout."""
        return min(len(self.tuning), len(self.holdout)) >= FEWEST_ITEMS

    def check(self) -> None:
        """Raise UsageError unless both halves are large enough."""
        if not self.enough:
            raise UsageError(
                f"{len(self.tuning) + len(self.holdout)} questions are too few for a holdout",
                f"name tasks with {2 * FEWEST_ITEMS} or more, or leave out --holdout",
            )


def split_of(wanted: Iterable[WantedSample]) -> HoldoutSplit:
    """The split of the questions of an evaluation."""
    asked = {item_name(one.task, one.question.identifier): one for one in wanted}
    return HoldoutSplit.of(
        [
            HoldoutItem(
                one.task,
                one.question.identifier,
                one.question.cluster or one.question.identifier,
                question_hash(one.question),
            )
            for one in asked.values()
        ]
    )


@dataclass(frozen=True)
class HoldoutLooks:
    """Looks at the differences of recipes to one baseline."""

    split: HoldoutSplit
    baseline: str
    """The label of the first recipe."""
    states: StoredHoldouts

    def answer(self, recipe: str, changes: ItemScores) -> HoldoutAnswer:
        """The mean difference of a recipe's scores, from its difference on every question.

        BudgetSpentError once the budget is spent.
        """
        first, second = (
            [(1 + changes[name]) / 2 for name in half]  # Thresholdout takes 0 to 1
            for half in (self.split.tuning, self.split.holdout)
        )

        def look(text: str | None) -> tuple[str, HoldoutAnswer]:
            state = self._fresh() if text is None else Thresholdout.read(text)
            found = state.answer(recipe, first, second)
            return state.text(), found

        found = self.states.update(self._name, look)
        return HoldoutAnswer(2 * found.value - 1, found.charged, found.left)

    @property
    def left(self) -> int:
        """Charged answers that are left."""

        def kept(text: str | None) -> tuple[str, int]:
            state = self._fresh() if text is None else Thresholdout.read(text)
            return state.text(), state.budget

        return self.states.update(self._name, kept)

    @property
    def _name(self) -> str:
        return json.dumps([self.baseline, self.split.digest, _SEED])

    def _fresh(self) -> Thresholdout:
        return Thresholdout.for_items(len(self.split.holdout), seed=_SEED)


def held_out(
    split: HoldoutSplit, labels: Sequence[str], samples: Sequence[Sample], states: StoredHoldouts
) -> HoldoutChanges:
    """The answers about every recipe but the first."""
    looks = HoldoutLooks(split, labels[0], states)
    scores = {label: _scores([one for one in samples if one.recipe == label]) for label in labels}
    exact = scores[labels[0]]
    changes = []
    for label in labels[1:]:
        own = {name: score - exact[name] for name, score in scores[label].items()}
        try:
            found = looks.answer(label, own)
            changes.append(HoldoutChange(label, found.value, found.charged))
        except BudgetSpentError:
            changes.append(HoldoutChange(label, None, False))
    return HoldoutChanges(tuple(changes), looks.left, len(split.tuning), len(split.holdout))


def _scores(samples: Sequence[Sample]) -> dict[str, float]:
    """The mean score of each question."""
    found: dict[str, list[float]] = defaultdict(list)
    for one in samples:
        found[item_name(one.task, one.question)].append(one.score)
    return {name: fsum(own) / len(own) for name, own in found.items()}

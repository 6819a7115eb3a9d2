"""Evidence, and the belief that follows from it: one signature for every model of `beliefs/`.

A model has `condition(evidence) -> Belief`. Exact, simulated and amortised models of the same
quantities are interchangeable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from forethought.contracts.errors import BadParameterError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LEVEL = 0.9
"""Probability inside an interval of a belief, unless a caller asks for another."""

NETWORKS = ("coverage", "learning-curve", "rate-filter")
"""Networks that `forethought tune --train-pfn` trains."""

CURVE_STEPS = 100
"""Steps of a learning curve, as the network of that name knows it."""


class Belief(Protocol):
    """A distribution over some quantities, given evidence."""

    @property
    def mean(self) -> Floats:
        """The expected quantities, [quantities]."""

    def interval(self, level: float = LEVEL) -> Floats:
        """The central interval of each quantity, [quantities, 2]."""

    def sample(self, rng: np.random.Generator, count: int) -> Floats:
        """Draws of the quantities, [count, quantities]."""


@dataclass(frozen=True)
class Counts:
    """Independent answers to each question, and how many of them are right."""

    samples: tuple[int, ...]
    right: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.samples) != len(self.right):
            raise UsageError(
                f"{len(self.samples)} numbers of samples and {len(self.right)} of right ones",
                "give both for each question",
            )
        for made, good in zip(self.samples, self.right, strict=True):
            if not 0 <= good <= made:
                raise UsageError(
                    f"{good} right of {made} samples is no count",
                    "give counts from 0 to the number of samples",
                )

    @classmethod
    def of(cls, samples: int | Sequence[int], right: Sequence[int]) -> Counts:
        """Counts of right samples; one number of `samples` holds for every question."""
        made = [samples] * len(right) if isinstance(samples, int) else samples
        return cls(tuple(map(int, made)), tuple(map(int, right)))


@dataclass(frozen=True)
class AnswerGroups:
    """Answers to each question by agreement: the right ones, and the sizes of wrong groups.

    An answer that agrees with no other, or that is empty, is a wrong group of size 1.
    """

    right: tuple[int, ...]
    wrong: tuple[tuple[int, ...], ...]

    @property
    def counts(self) -> Counts:
        """The same evidence without the agreement among wrong answers."""
        made = [good + sum(bad) for good, bad in zip(self.right, self.wrong, strict=True)]
        return Counts(tuple(made), self.right)


def tails(level: float) -> tuple[float, float]:
    """The probabilities below both ends of a central interval; BadParameterError outside (0, 1)."""
    if not 0 < level < 1:
        raise BadParameterError(
            f"an interval of probability {level:g} has no ends",
            "give a level between 0 and 1, such as 0.9",
        )
    return (1 - level) / 2, (1 + level) / 2

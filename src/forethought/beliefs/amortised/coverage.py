"""Coverage by a prior-data fitted network, trained on the worlds of `difficulty.py`.

It answers in one forward pass where the bank weights thousands of worlds, and is the bank's equal
on counts. It earns its place when thousands of forecasts a second are needed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from forethought.beliefs.amortised.prior_fitted import (
    Network,
    PriorFitting,
    SimulatedBatch,
    predicted,
)
from forethought.beliefs.amortised.weights_file import read_network
from forethought.beliefs.bars import BarBelief, share_borders
from forethought.beliefs.grid_bank import drawn_nodes
from forethought.beliefs.worlds import PRIOR, histograms, points, rates
from forethought.contracts.beliefs import Counts
from forethought.contracts.errors import UnfitError

Floats = NDArray[np.float64]
MOST_SAMPLES, MOST_QUESTIONS, MOST_ANSWERS = 64, 400, 1024
"""Ranges of the training: samples a question, questions, and numbers of answers."""
_FEWEST_QUESTIONS = 4
_BARS = 128
_QUERIES = 6


@dataclass(frozen=True)
class CoverageSimulator:
    """Simulated questions with counts of right samples, and their coverage."""

    @property
    def prior(self) -> str:
        """The prior in short."""
        return f"coverage of {PRIOR}"

    @property
    def features(self) -> tuple[int, int]:
        """Features of a kind of counts, and of a number of answers."""
        return 5, 3

    def borders(self) -> Floats:
        """Borders from the coverage of simulated worlds."""
        rng = np.random.default_rng(0)
        targets = [self.batch(rng, 64).targets.ravel() for _ in range(60)]
        return share_borders(np.concatenate(targets), _BARS)

    def batch(self, rng: np.random.Generator, count: int) -> SimulatedBatch:
        """Data sets that share the number of samples a question."""
        made = 2 ** int(rng.integers(0, 7))
        span = np.log(_FEWEST_QUESTIONS), np.log(MOST_QUESTIONS + 1)
        questions = np.exp(rng.uniform(*span, count)).astype(np.int64)
        there = np.arange(questions.max()) < questions[:, None]
        nodes = drawn_nodes(histograms(points(rng, count)), int(questions.max()), rng)
        success = rates()[nodes]
        right = rng.binomial(made, success)
        times = np.stack(
            [((right == kind) & there).sum(axis=1) for kind in range(made + 1)], axis=1
        )
        at = np.exp(rng.uniform(0, np.log(MOST_ANSWERS + 1), (count, _QUERIES))).astype(np.int64)
        missed = (1 - success[:, None, :]) ** at[:, :, None]
        targets = 1 - (missed * there[:, None]).sum(axis=2) / questions[:, None]
        kinds = context_features(np.full(made + 1, made), np.arange(made + 1))
        queries = np.stack([query_features(row, n) for row, n in zip(at, questions, strict=True)])
        return SimulatedBatch(
            np.broadcast_to(kinds, (count, *kinds.shape)).copy(),
            times.astype(np.float64),
            queries,
            targets,
        )


@dataclass(frozen=True)
class CoverageNetwork:
    """Beliefs about coverage at `at` samples, by a trained network."""

    stored: Network
    at: tuple[int, ...]

    @classmethod
    def read(cls, file: Path, at: tuple[int, ...]) -> CoverageNetwork:
        """Read trained weights; BadDataError for those of another prior."""
        learner = PriorFitting(CoverageSimulator())
        return cls(read_network(file, learner.prior, learner.build), at)

    def condition(self, evidence: Counts) -> BarBelief:
        """The belief about the coverage of these questions; UnfitError outside the training."""
        _check(evidence, self.at)
        kinds = Counter(zip(evidence.samples, evidence.right, strict=True))
        made, good = np.array(list(kinds)).T
        times = np.array(list(kinds.values()), dtype=np.float64)
        queries = query_features(np.array(self.at), len(evidence.samples))
        return predicted(self.stored, context_features(made, good), times, queries)


def context_features(made: NDArray[np.int64], good: NDArray[np.int64]) -> Floats:
    """Features of kinds of counts, [kinds, 5]."""
    return np.stack(
        [
            good / made.clip(1),
            (good == 0).astype(np.float64),
            (good == made).astype(np.float64),
            np.log((good + 0.5) / (made - good + 0.5)) / 2,
            np.log(made.clip(1)) / 2,
        ],
        axis=-1,
    )


def query_features(at: NDArray[np.int64], questions: int) -> Floats:
    """Features of numbers of answers, [queries, 3]."""
    return np.stack(
        [np.log(at) / 4, np.full(at.shape, np.log(questions) / 4), np.ones(at.shape)], axis=-1
    )


def _check(evidence: Counts, at: tuple[int, ...]) -> None:
    counts = evidence.samples
    fits = (
        _FEWEST_QUESTIONS <= len(counts) <= MOST_QUESTIONS
        and all(1 <= made <= MOST_SAMPLES for made in counts)
        and all(1 <= k <= MOST_ANSWERS for k in at)
    )
    if not fits:
        raise UnfitError(
            f"{len(counts)} questions with up to {max(counts, default=0)} samples, at up to "
            f"{max(at, default=0)} answers, lie outside the network's training",
            f"stay within {_FEWEST_QUESTIONS} to {MOST_QUESTIONS} questions, {MOST_SAMPLES} "
            f"samples and {MOST_ANSWERS} answers, or use the bank of simulated worlds",
        )

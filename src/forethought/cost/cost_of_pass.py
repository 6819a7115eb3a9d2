"""Cost-of-pass: the expected price of one right answer, and its frontier over models and methods.

Paper: "Cost-of-Pass: An Economic Framework for Evaluating Language Models", arXiv:2504.13359.
A way's cost-of-pass on a problem is its mean cost over its mean score, and infinite if it was never
right. The frontier takes the cheapest way for each problem, a human among them; a task's value is
the mean over its problems. The intervals are this project's: Jeffreys' posterior of the success
rate and a bootstrap of the cost. A frontier of noisy ratios is too low, since it picks lucky ways,
and so is the minimum in every draw of a posterior. So one half of the runs chooses a way, and the
other half prices it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forethought.contracts.errors import BadDataError

HUMAN_USD = {
    "two-digit-addition": 0.02,
    "bbq": 0.10,
    "gsm8k": 3.50,
    "math500": 12.0,
    "aime": 20.0,
    "gpqa-diamond": 58.0,
}
"""The paper's prices of a right answer by a human."""
DRAWS = 10_000
"""The paper's number of bootstrap resamples."""


@dataclass(frozen=True)
class ScoredRuns:
    """The runs of one way on one problem."""

    costs: tuple[float, ...]
    """US dollars, or another unit, of each run; all calls of the run together."""
    scores: tuple[float, ...]
    """1 for a right answer, 0 for a wrong one."""

    def __post_init__(self) -> None:
        if not self.costs or len(self.costs) != len(self.scores):
            raise BadDataError(
                f"{len(self.costs)} costs and {len(self.scores)} scores",
                "state one cost and one score for each run, and at least one run",
            )

    @property
    def cost_of_pass(self) -> float:
        """Mean cost over mean score."""
        right = sum(self.scores) / len(self.scores)
        return sum(self.costs) / len(self.costs) / right if right else math.inf


@dataclass(frozen=True)
class Spread:
    """A value with its interval."""

    value: float
    low: float
    high: float


def frontier(ways: Mapping[str, Sequence[float]], human: float | None = None) -> list[float]:
    """For each problem, the least cost-of-pass of all ways, given by name and problem."""
    columns = zip(*ways.values(), strict=True)
    most = math.inf if human is None else human
    return [min(most, *values) for values in columns]


def value_of(costs: Sequence[float]) -> float:
    """The mean over problems; BadDataError if a problem was never solved."""
    unsolved = sum(math.isinf(cost) for cost in costs)
    if unsolved:
        raise BadDataError(
            f"{unsolved} of {len(costs)} problems were never solved, so their cost is infinite",
            "state the cost of a right answer by a human",
        )
    return sum(costs) / len(costs)


def essentialness(
    ways: Mapping[str, Sequence[float]], family: Sequence[str], human: float | None = None
) -> float:
    """The share of the value without these ways that they save.

    1 if nobody else solves a problem. BadDataError if some problem is never solved at all.
    """
    value = value_of(frontier(ways, human))
    others = {name: costs for name, costs in ways.items() if name not in family}
    most = math.inf if human is None else human
    least = frontier(others, human) if others else [most]
    without = sum(least) / len(least)
    if math.isinf(without):
        return 1.0
    return (without - value) / without if without else 0.0


def posterior(
    runs: ScoredRuns, rng: np.random.Generator, draws: int = DRAWS
) -> NDArray[np.float64]:
    """Draws [draws] of the cost-of-pass, given the runs."""
    every = np.arange(len(runs.costs))
    return _drawn(runs, np.broadcast_to(every, (draws, len(every))), rng)


def spread(
    runs: ScoredRuns, rng: np.random.Generator, *, draws: int = DRAWS, level: float = 0.95
) -> Spread:
    """The cost-of-pass of one way on one problem: its median over draws, and an interval."""
    return _spread(posterior(runs, rng, draws), level)


def frontier_spread(
    ways: Mapping[str, Sequence[ScoredRuns]],
    human: float | None,
    rng: np.random.Generator,
    *,
    draws: int = DRAWS,
    level: float = 0.95,
) -> Spread:
    """The value of the frontier: its median over draws, and an interval.

    Every draw splits the runs of each way: one half chooses the way, the other half prices it.
    """
    problems = len(next(iter(ways.values())))
    totals = np.zeros(draws)
    for problem in range(problems):
        halves = [_halves(own[problem], rng, draws) for own in ways.values()]
        guesses = np.stack([guess for guess, _ in halves])
        prices = np.stack([price for _, price in halves])
        chosen = prices[guesses.argmin(0), np.arange(draws)]
        if human is not None:
            chosen = np.where(guesses.min(0) < human, np.minimum(chosen, human), human)
        totals += chosen
    return _spread(totals / problems, level)


def _halves(
    runs: ScoredRuns, rng: np.random.Generator, draws: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """By draw, the cost-of-pass that one half of the runs estimates, and a draw from the other."""
    count = len(runs.costs)
    if count < 2:
        raise BadDataError("a way has a single run", "draw two runs or more for each problem")
    places = rng.random((draws, count)).argsort(1)
    first, second = places[:, : count // 2], places[:, count // 2 :]
    costs, scores = np.array(runs.costs)[first], np.array(runs.scores)[first]
    rates = (scores.sum(1) + 0.5) / (first.shape[1] + 1)
    return costs.mean(1) / rates, _drawn(runs, second, rng)


def _drawn(
    runs: ScoredRuns, places: NDArray[np.intp], rng: np.random.Generator
) -> NDArray[np.float64]:
    """A cost-of-pass for each row of `places` [draws, runs], from these runs alone."""
    draws, count = places.shape
    scores = np.array(runs.scores)[places].sum(1)
    rates = rng.beta(scores + 0.5, count - scores + 0.5)
    again = np.take_along_axis(places, rng.integers(0, count, (draws, count)), 1)
    means = np.array(runs.costs)[again].mean(1)
    # A beta of half a success may be 0 in floating point.
    return np.asarray(means / np.maximum(rates, np.finfo(float).tiny))


def _spread(totals: NDArray[np.float64], level: float) -> Spread:
    tail = (1 - level) / 2
    low, value, high = np.quantile(totals, [tail, 0.5, 1 - tail])
    return Spread(float(value), float(low), float(high))

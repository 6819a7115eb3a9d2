"""Plans fitted to scores: bins of difficulty by signs, and the strategy that is worth most in each.

A plan is worth what it would do on other questions: fitting as a whole, limits of the bins
included, is done anew without each fold of the questions that it is then tried on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forethought.contracts.plan import DifficultyBin, DifficultyPlan, Sign, ordered
from forethought.numerics.difficulty import best_by_bin

Floats = NDArray[np.float64]
FOLDS = 5


@dataclass(frozen=True)
class StrategyMatrix:
    """Strategies on questions, the cheapest strategy first."""

    strategies: tuple[str, ...]
    signs: tuple[tuple[float, float], ...]
    """Agreement and likelihood of the probe, by question."""
    clusters: tuple[str, ...]
    scores: Floats
    """[strategies, questions]"""
    tokens: Floats
    """[strategies, questions], asked alone."""
    routed: Floats
    """The same behind a probe, whose answers are paid."""
    worth: float = 0.0
    """Score that a token must bring."""

    @property
    def alone(self) -> Floats:
        """What each strategy is worth, asked alone."""
        return self.scores - self.worth * self.tokens

    @property
    def behind(self) -> Floats:
        """What each is worth behind a probe."""
        return self.scores - self.worth * self.routed

    def part(self, places: Sequence[int] | NDArray[np.int64]) -> StrategyMatrix:
        """The same for some questions."""
        return StrategyMatrix(
            self.strategies,
            tuple(self.signs[place] for place in places),
            tuple(self.clusters[place] for place in places),
            self.scores[:, places],
            self.tokens[:, places],
            self.routed[:, places],
            self.worth,
        )

    def best(self) -> int:
        """The single strategy that is worth most, of equal ones the cheapest."""
        return int(self.alone.mean(axis=1).argmax())


def fitted(tried: StrategyMatrix, probe: int, by: Sign, bins: int) -> DifficultyPlan:
    """The plan of at most so many bins that is worth most on these questions.

    It has one bin and no probe where nothing is gained by more.
    """
    single = DifficultyPlan((DifficultyBin((0.0, 0.0), tried.strategies[tried.best()]),), 0, by)
    if bins == 1:
        return single
    ranks = [ordered(by, *signs) for signs in tried.signs]
    limits = _limits(ranks, bins)
    places = np.array([next(n for n, at in enumerate(limits) if rank >= at) for rank in ranks])
    choice = best_by_bin(tried.behind, places)
    found: list[DifficultyBin] = []
    for place, least in enumerate(limits):
        strategy = tried.strategies[choice[place]]
        if found and found[-1].strategy == strategy:
            found.pop()
        found.append(DifficultyBin(least, strategy))
    plan = DifficultyPlan(tuple(found), probe, by)
    gain = value(plan, tried).mean() - tried.alone[tried.best()].mean()
    return plan if len(found) > 1 and gain > 1e-12 else single


def _limits(ranks: Sequence[tuple[float, float]], bins: int) -> list[tuple[float, float]]:
    """The least signs of each bin, the easiest first.

    Bins are as nearly equal as they can be where questions of equal signs stay together.
    """
    counts = sorted(Counter(ranks).items(), reverse=True)
    ends = np.cumsum([count for _, count in counts])
    wanted = [len(ranks) * place / bins for place in range(1, bins)]
    cuts = {int(np.abs(ends[:-1] - size).argmin()) for size in wanted if len(ends) > 1}
    return [counts[place][0] for place in sorted({*cuts, len(counts) - 1})]


def routes(plan: DifficultyPlan, tried: StrategyMatrix) -> list[int]:
    """The strategy that each question is sent to."""
    return [tried.strategies.index(plan.bins[plan.bin_of(*one)].strategy) for one in tried.signs]


def taken(table: Floats, plan: DifficultyPlan, tried: StrategyMatrix) -> Floats:
    """What the plan takes of a table [strategies, questions], by question."""
    return table[routes(plan, tried), np.arange(len(tried.signs))]


def paid(plan: DifficultyPlan, tried: StrategyMatrix) -> Floats:
    """Tokens of following the plan, by question."""
    return taken(tried.tokens if len(plan.bins) == 1 else tried.routed, plan, tried)


def value(plan: DifficultyPlan, tried: StrategyMatrix) -> Floats:
    """What following the plan is worth, by question."""
    return taken(tried.scores, plan, tried) - tried.worth * paid(plan, tried)


@dataclass(frozen=True)
class Held:
    """What was scored and paid, by question, by plans that were fitted on other questions."""

    scores: Floats
    tokens: Floats


def held_out(
    tried: StrategyMatrix, probe: int, by: Sign, bins: int, rng: np.random.Generator
) -> Held:
    """Fit without each fold, and try on it; questions of one cluster stay together."""
    names = sorted(set(tried.clusters))
    dealt = dict(zip(rng.permutation(names).tolist(), np.arange(len(names)) % FOLDS, strict=True))
    folds = np.array([dealt[name] for name in tried.clusters])
    found = np.zeros((2, len(folds)))
    for fold in sorted(set(folds.tolist())):
        (held,), (others,) = np.nonzero(folds == fold), np.nonzero(folds != fold)
        plan, test = fitted(tried.part(others), probe, by, bins), tried.part(held)
        found[:, held] = taken(test.scores, plan, test), paid(plan, test)
    return Held(*found)

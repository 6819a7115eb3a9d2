"""Difficulty plans fitted to scores: the most valuable strategy for each bin of difficulty.

A plan's value is estimated by cross-validation. Each fold of questions is scored by a plan
that was fitted, bin limits included, to the other folds.
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
    """Scores and tokens of strategies on questions, the cheapest strategy first."""

    strategies: tuple[str, ...]
    signs: tuple[tuple[float, float], ...]
    """Agreement and likelihood of the probe's answers, by question."""
    clusters: tuple[str, ...]
    scores: Floats
    """[strategies, questions]"""
    tokens: Floats
    """[strategies, questions], each strategy alone."""
    routed: Floats
    """[strategies, questions], each strategy after a probe, probe included."""
    worth: float = 0.0
    """Score that a token must gain."""

    @property
    def alone(self) -> Floats:
        """Value of each strategy alone, net of tokens."""
        return self.scores - self.worth * self.tokens

    @property
    def behind(self) -> Floats:
        """Value of each strategy after a probe, net of tokens."""
        return self.scores - self.worth * self.routed

    def subset(self, places: Sequence[int] | NDArray[np.int64]) -> StrategyMatrix:
        """The columns of some questions."""
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
        """Index of the single strategy of greatest plan_value; ties go to the cheapest."""
        return int(self.alone.mean(axis=1).argmax())


def fitted(matrix: StrategyMatrix, probe: int, by: Sign, bins: int) -> DifficultyPlan:
    """The plan of greatest plan_value on these questions, with at most `bins` bins.

    If more bins gain nothing, it has one bin and no probe.
    """
    single = DifficultyPlan((DifficultyBin((0.0, 0.0), matrix.strategies[matrix.best()]),), 0, by)
    if bins == 1:
        return single
    ranks = [ordered(by, *signs) for signs in matrix.signs]
    limits = _limits(ranks, bins)
    places = np.array([next(n for n, at in enumerate(limits) if rank >= at) for rank in ranks])
    choice = best_by_bin(matrix.behind, places)
    found: list[DifficultyBin] = []
    for place, least in enumerate(limits):
        strategy = matrix.strategies[choice[place]]
        if found and found[-1].strategy == strategy:
            found.pop()
        found.append(DifficultyBin(least, strategy))
    plan = DifficultyPlan(tuple(found), probe, by)
    gain = plan_value(plan, matrix).mean() - matrix.alone[matrix.best()].mean()
    return plan if len(found) > 1 and gain > 1e-12 else single


def _limits(ranks: Sequence[tuple[float, float]], bins: int) -> list[tuple[float, float]]:
    """The lower limit of signs for each bin, the easiest first.

    Questions of equal signs share a bin; bins are otherwise as equal in size as possible.
    """
    counts = sorted(Counter(ranks).items(), reverse=True)
    ends = np.cumsum([count for _, count in counts])
    wanted = [len(ranks) * place / bins for place in range(1, bins)]
    cuts = {int(np.abs(ends[:-1] - size).argmin()) for size in wanted if len(ends) > 1}
    return [counts[place][0] for place in sorted({*cuts, len(counts) - 1})]


def routes(plan: DifficultyPlan, matrix: StrategyMatrix) -> list[int]:
    """Index of the strategy that the plan chooses for each question."""
    return [matrix.strategies.index(plan.bins[plan.bin_of(*one)].strategy) for one in matrix.signs]


def chosen_entries(table: Floats, plan: DifficultyPlan, matrix: StrategyMatrix) -> Floats:
    """Entries of a table [strategies, questions] that the plan chooses, by question."""
    return table[routes(plan, matrix), np.arange(len(matrix.signs))]


def plan_tokens(plan: DifficultyPlan, matrix: StrategyMatrix) -> Floats:
    """Tokens of the plan, by question."""
    return chosen_entries(matrix.tokens if len(plan.bins) == 1 else matrix.routed, plan, matrix)


def plan_value(plan: DifficultyPlan, matrix: StrategyMatrix) -> Floats:
    """Value of the plan net of tokens, by question."""
    return chosen_entries(matrix.scores, plan, matrix) - matrix.worth * plan_tokens(plan, matrix)


@dataclass(frozen=True)
class HeldOut:
    """Scores and tokens by question, under plans fitted to other questions."""

    scores: Floats
    tokens: Floats


def held_out(
    matrix: StrategyMatrix, probe: int, by: Sign, bins: int, rng: np.random.Generator
) -> HeldOut:
    """Cross-validate plans; questions of one cluster share a fold."""
    names = sorted(set(matrix.clusters))
    dealt = dict(zip(rng.permutation(names).tolist(), np.arange(len(names)) % FOLDS, strict=True))
    folds = np.array([dealt[name] for name in matrix.clusters])
    found = np.zeros((2, len(folds)))
    for fold in sorted(set(folds.tolist())):
        (held,), (others,) = np.nonzero(folds == fold), np.nonzero(folds != fold)
        plan, test = fitted(matrix.subset(others), probe, by, bins), matrix.subset(held)
        found[:, held] = chosen_entries(test.scores, plan, test), plan_tokens(plan, test)
    return HeldOut(*found)

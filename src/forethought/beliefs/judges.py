"""Which candidate is better, when the judges err: a posterior over true levels.

The geometry of arXiv:2505.21972: a judge is a confusion matrix, one point of the simplex for each
true level, and a candidate's scores lie in the hull of the judge's points. The model is Dawid and
Skene's with priors; the priors are ours, since the paper's are not public. With two levels and a
judge better than chance, the ranking of raw scores is the true one. With three levels or more it
depends on the judge, and scores alone do not identify it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from forethought.beliefs.sampled import SampledBelief
from forethought.contracts.errors import UsageError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MISSING = -1
_FEWEST_COMMON = 20
"""Common scores from which two judges without a difference count as one."""
_FLOOR = 1e-300
_AT_ONCE = 1 << 18
"""Random numbers in memory while tables are drawn."""


@dataclass(frozen=True)
class JudgeScores:
    """Score levels from 0, by judge, candidate and item; -1 where there is none."""

    levels: int
    scores: Integers
    """[judges, candidates, items]"""
    gold: Integers
    """True levels, [candidates, items]; -1 where unknown."""

    def __post_init__(self) -> None:
        fits = self.scores.ndim == 3 and self.scores.shape[1:] == self.gold.shape
        known = [values for values in (self.scores, self.gold) if values.size]
        if not fits or self.levels < 2 or not known:
            raise UsageError(
                f"scores of shape {self.scores.shape} with true levels of {self.gold.shape} on "
                f"{self.levels} levels make no table",
                "give [judges, candidates, items], [candidates, items] and 2 levels or more",
            )
        if any(values.min() < MISSING or values.max() >= self.levels for values in known):
            raise UsageError(
                "a score lies outside the levels", f"give 0 to {self.levels - 1}, or -1 for none"
            )

    @classmethod
    def of(
        cls, levels: int, scores: Sequence[object] | Integers, gold: Integers | None = None
    ) -> JudgeScores:
        """A table of scores; without `gold`, no true level is known."""
        table = np.asarray(scores, dtype=np.int64)
        known = np.full(table.shape[1:], MISSING) if gold is None else np.asarray(gold)
        return cls(levels, table, known.astype(np.int64))

    def copies(self) -> list[tuple[int, int]]:
        """Pairs of judges that agree on all of at least 20 common items; the later is a copy."""
        found = []
        for first, second in combinations(range(len(self.scores)), 2):
            common = (self.scores[first] != MISSING) & (self.scores[second] != MISSING)
            same = self.scores[first][common] == self.scores[second][common]
            if common.sum() >= _FEWEST_COMMON and same.all():
                found.append((first, second))
        return found

    def independent(self) -> JudgeScores:
        """The table without copies of judges."""
        dropped = {second for _, second in self.copies()}
        kept = [judge for judge in range(len(self.scores)) if judge not in dropped]
        return JudgeScores(self.levels, self.scores[kept], self.gold)

    def warning(self) -> str:
        """Why scores and labels do not determine the ranking; empty if they do."""
        if (self.gold != MISSING).any() or self.levels == 2:
            return ""
        shared = (self.independent().scores != MISSING).sum(axis=0).max(initial=0)
        if shared >= 3:
            return ""
        return (
            f"with {self.levels} levels, fewer than three independent judges on the same items "
            "and no true levels, the ranking depends on the prior: label some items"
        )


@dataclass(frozen=True)
class JudgeBelief(SampledBelief):
    """Draws of the expected level of each candidate, [draws, candidates]."""

    levels: Floats
    """Draws of the share of each level, [draws, candidates, levels]."""
    judges: Floats
    """Draws of the confusion matrices, [draws, judges, true level, score]."""
    warning: str = ""
    """Why the ranking depends on the prior; empty if it does not."""

    def best(self) -> Floats:
        """The probability that each candidate is the best, [candidates]."""
        top = self.draws.argmax(axis=1)
        return np.bincount(top, minlength=self.draws.shape[1]) / len(top)

    def above(self) -> Floats:
        """The probability that a candidate is above another, [candidates, candidates]."""
        found: Floats = (self.draws[:, :, None] > self.draws[:, None, :]).mean(axis=0)
        return found

    def ranks(self, level: float = 0.9) -> Floats:
        """The interval of each candidate's rank, 1 for the best, [candidates, 2]."""
        ranks = 1 + (self.draws[:, None, :] > self.draws[:, :, None]).sum(axis=2)
        return SampledBelief(ranks.astype(np.float64)).interval(level)


@dataclass(frozen=True)
class JudgeModel:
    """Dawid and Skene's model with priors, by Gibbs sampling."""

    diagonal: float = 4.0
    """Prior count of a judge's right scores at each level; 1 for each wrong score."""
    wrong: float = 1.0
    """Prior count of each wrong score at each level."""
    drift: float | None = None
    """Concentration of a judge's confusion for a candidate around its own; None for one confusion
    for all candidates. Small values allow for favourites."""
    chains: int = 4
    draws: int = 1000
    """Draws of each chain; as many again come first and are dropped."""
    seed: int = 0

    def condition(self, evidence: JudgeScores) -> JudgeBelief:
        """The belief about the expected level of each candidate; copies of judges are dropped."""
        table = evidence.independent()
        state = _Gibbs.begun(self, table)
        levels, judges = [], []
        for sweep in range(2 * self.draws):
            state.sweep()
            if sweep >= self.draws:
                levels.append(state.levels.copy())
                judges.append(state.confusion.copy())
        shares = np.concatenate(levels)
        expected = shares @ np.arange(table.levels, dtype=np.float64)
        return JudgeBelief(expected, shares, np.concatenate(judges), evidence.warning())


def robust_pairs(
    evidence: JudgeScores,
    diagonals: Sequence[float] = (2.0, 4.0, 8.0),
    drifts: Sequence[float | None] = (5.0, 20.0, 100.0, None),
    model: JudgeModel | None = None,
    least: float = 0.8,
) -> list[tuple[int, int]]:
    """Pairs (better, worse) with probability `least` or more under every prior of the judges."""
    base = model or JudgeModel()
    above = np.array(
        [
            replace(base, diagonal=diagonal, drift=drift).condition(evidence).above()
            for diagonal in diagonals
            for drift in drifts
        ]
    )
    return [(int(a), int(b)) for a, b in np.argwhere((above >= least).all(axis=0))]


@dataclass
class _Gibbs:
    """The state of all chains; each conditional law is a Dirichlet or multinomial one."""

    prior: Floats
    """Prior counts of a confusion matrix, [level, score]."""
    drift: float | None
    patterns: Integers
    """Distinct (candidate, gold, score of each judge), [patterns, 2 + judges]."""
    times: Integers
    """Items of each pattern."""
    levels: Floats
    """[chains, candidates, levels]"""
    confusion: Floats
    """[chains, judges, level, score]"""
    own: Floats
    """Confusion for each candidate, [chains, judges, candidates, level, score]."""
    rng: np.random.Generator

    @classmethod
    def begun(cls, model: JudgeModel, table: JudgeScores) -> _Gibbs:
        judges, candidates, _ = table.scores.shape
        size = table.levels
        prior = np.full((size, size), model.wrong) + np.eye(size) * (model.diagonal - model.wrong)
        start = prior / prior.sum(axis=1, keepdims=True)
        rows = np.stack(
            [np.indices(table.gold.shape)[0].ravel(), table.gold.ravel(),
             *table.scores.reshape(judges, -1)], axis=1,
        )  # fmt: skip
        told = (rows[:, 1:] != MISSING).any(axis=1)
        patterns, times = np.unique(rows[told], axis=0, return_counts=True)
        shape = (model.chains, judges, candidates, size, size)
        return cls(
            prior,
            model.drift,
            patterns,
            times,
            np.full((model.chains, candidates, size), 1 / size),
            np.broadcast_to(start, (model.chains, judges, size, size)).copy(),
            np.broadcast_to(start, shape).copy(),
            np.random.default_rng(model.seed),
        )

    def sweep(self) -> None:
        """Draw the true levels of all items, then the shares of levels and the judges."""
        found = self._true_levels()
        self.levels = _dirichlet(1.0 + self._by_candidate(found), self.rng)
        counts = self._by_score(found)
        if self.drift is None:
            self._accept(_dirichlet(self.prior + counts.sum(axis=2), self.rng))
            self.own[:] = self.confusion[:, :, None]
        else:
            base = self.drift * self.confusion[:, :, None]
            tables = _tables(counts, np.broadcast_to(base, counts.shape), self.rng)
            self._accept(_dirichlet(self.prior + tables.sum(axis=2), self.rng))
            self.own = _dirichlet(self.drift * self.confusion[:, :, None] + counts, self.rng)

    def _true_levels(self) -> Integers:
        """How many items of each pattern have each true level, [chains, patterns, levels]."""
        candidate, gold = self.patterns[:, 0], self.patterns[:, 1]
        logs = np.log(self.levels[:, candidate] + _FLOOR)
        for judge in range(self.confusion.shape[1]):
            score = self.patterns[:, 2 + judge]
            seen = score != MISSING
            own = self.own[:, judge, candidate[seen], :, score[seen]]
            logs[:, seen] += np.log(np.moveaxis(own, 0, 1) + _FLOOR)
        known = gold != MISSING
        logs[:, known] = np.where(np.arange(logs.shape[2]) == gold[known, None], 0.0, -np.inf)
        chances = np.exp(logs - logs.max(axis=2, keepdims=True))
        return self.rng.multinomial(self.times, chances / chances.sum(axis=2, keepdims=True))

    def _by_candidate(self, found: Integers) -> Floats:
        """Items of each candidate at each level, [chains, candidates, levels]."""
        own = self.patterns[:, :1] == np.arange(self.levels.shape[1])
        counts: Floats = np.einsum("cpl,pk->ckl", found, own.astype(np.float64))
        return counts

    def _by_score(self, found: Integers) -> Floats:
        """Items of each judge, [chains, judges, candidates, level, score]."""
        counts = np.empty(self.own.shape)
        own = self.patterns[:, :1] == np.arange(self.levels.shape[1])
        for judge in range(self.confusion.shape[1]):
            given = self.patterns[:, 2 + judge, None] == np.arange(self.levels.shape[2])
            kinds = (own[:, :, None] & given[:, None, :]).astype(np.float64)
            counts[:, judge] = np.einsum("cpl,pks->ckls", found, kinds, optimize=True)
        return counts

    def _accept(self, proposed: Floats) -> None:
        """Keep proposals whose scores rise with the true level; Metropolis-Hastings otherwise.

        A proposal is a draw of the conditional law without the order, so its acceptance is 1 or 0.
        """
        sums = proposed.cumsum(axis=3)
        ordered = (np.diff(sums, axis=2) <= 1e-12).all(axis=(2, 3))
        self.confusion[ordered] = proposed[ordered]


def _dirichlet(counts: Floats, rng: np.random.Generator) -> Floats:
    drawn = rng.gamma(counts) + _FLOOR
    found: Floats = drawn / drawn.sum(axis=-1, keepdims=True)
    return found


def _tables(counts: Floats, weights: Floats, rng: np.random.Generator) -> Floats:
    """Draws of the tables of Chinese restaurants with these customers and weights."""
    found = np.zeros(counts.shape)
    most = int(counts.max(initial=0))
    step = max(1, _AT_ONCE // max(1, counts.size))
    for start in range(0, most, step):
        seated = np.arange(start, min(start + step, most))
        share = weights[..., None] / (weights[..., None] + seated + _FLOOR)
        fresh = rng.random(share.shape) < share
        found += (fresh & (seated < counts[..., None])).sum(axis=-1)
    return found

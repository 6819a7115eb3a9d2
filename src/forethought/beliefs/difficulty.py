"""How hard a task's questions are, and what more samples would give: coverage, next success.

The prior is broad and simulated (`worlds.py`); its posterior given counts of right answers is
exact up to the number of simulated worlds. It is the idea of learning-curve extrapolation
(arXiv:2310.20447) with a prior for repeated sampling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, xlogy

from forethought.beliefs.grid_bank import GridBank, GridPosterior, KindsOfEvidence
from forethought.beliefs.sampled import SampledBelief
from forethought.beliefs.worlds import histograms, points, rates
from forethought.contracts.beliefs import Counts
from forethought.contracts.errors import UsageError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

WORLDS = 20_000
DRAWS = 1000
PRIOR_DRIVEN = 4
"""Beyond this multiple of the samples seen, a forecast depends on the prior."""
_REPLICAS = 400


def prior_driven(k: int, evidence: Counts) -> bool:
    """Whether a forecast at k samples says more about the prior than about the evidence."""
    return k > PRIOR_DRIVEN * min(evidence.samples, default=0)


@dataclass(frozen=True)
class DifficultyPosterior:
    """The success rates of questions, given the counts of right answers."""

    evidence: Counts
    grid: GridPosterior
    kinds: Integers
    """The kind of evidence of each question, [questions]."""
    seed: int

    @cached_property
    def success(self) -> Floats:
        """Joint draws of the questions' success rates, [draws, questions]."""
        drawn = self.grid.node_draws(np.random.default_rng(self.seed), DRAWS)
        found = np.empty((DRAWS, len(self.kinds)))
        for kind, nodes in enumerate(drawn):
            found[:, self.kinds == kind] = rates()[nodes]
        return found

    def coverage(self, at: Sequence[int]) -> SampledBelief:
        """The mean probability over questions that one of k new samples is right, at each k."""
        missed = [((1 - self.success) ** k).mean(axis=1) for k in at]
        return SampledBelief(1 - np.stack(missed, axis=1))

    def solved_within(self, k: int) -> Floats:
        """The probability that k further samples hold a right one, by question."""
        found: Floats = self.grid.node_shares() @ (1 - (1 - rates()) ** k)
        return found[self.kinds]

    def next_success(self) -> Floats:
        """The probability that the next sample is right, by question."""
        return self.solved_within(1)

    def surprise(self) -> float:
        """The two-sided posterior predictive probability of counts as untypical as these.

        Each replica has one world of the posterior and new counts. A small probability says that
        no world explains the counts, such as a spread below the binomial one.
        """
        rng = np.random.default_rng(self.seed)
        chosen = rng.choice(len(self.grid.laws), _REPLICAS, p=self.grid.weights)
        seen, again = np.zeros(_REPLICAS), np.zeros(_REPLICAS)
        made, good = np.array(self.evidence.samples), np.array(self.evidence.right)
        for samples in np.unique(made):
            pairs = [(int(samples), right) for right in range(samples + 1)]
            chances = self.grid.laws[chosen] @ likelihoods(pairs)
            chances /= chances.sum(axis=1, keepdims=True)
            own = np.bincount(good[made == samples], minlength=samples + 1)
            logs = np.log(chances.clip(1e-300))
            seen += logs @ own
            again += (logs * rng.multinomial(own.sum(), chances)).sum(axis=1)
        # Half of the ties: where no answer is right, most replicas are these very counts.
        equal = np.isclose(again, seen)
        below = float(np.mean((again < seen) & ~equal) + np.mean(equal) / 2)
        return min(1.0, 2 * min(below, 1 - below))


@dataclass(frozen=True)
class DifficultyBank:
    """Beliefs about coverage at `at` samples, by a bank of simulated worlds."""

    bank: GridBank
    at: tuple[int, ...]
    seed: int = 0

    @classmethod
    def simulated(cls, at: Sequence[int], worlds: int = WORLDS, seed: int = 0) -> DifficultyBank:
        """Simulate the bank; about a second for 20,000 worlds."""
        cube = points(np.random.default_rng(seed), worlds)
        return cls(GridBank.of(cube, histograms), tuple(at), seed)

    def condition(self, evidence: Counts) -> SampledBelief:
        """The belief about the coverage of these questions at each number of samples."""
        return self.posterior(evidence).coverage(self.at)

    def posterior(self, evidence: Counts) -> DifficultyPosterior:
        """The success rates of the questions."""
        pairs, kinds = _kinds(evidence)
        seen = KindsOfEvidence(likelihoods(pairs), np.bincount(kinds, minlength=len(pairs)))
        grid = self.bank.posterior(seen, np.random.default_rng(self.seed))
        return DifficultyPosterior(evidence, grid, kinds, self.seed)


def likelihoods(pairs: Sequence[tuple[int, int]]) -> Floats:
    """Binomial likelihoods of (samples, right) at each rate of the grid, [nodes, pairs]."""
    made, good = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    success = rates()[:, None]
    ways = gammaln(made + 1) - gammaln(good + 1) - gammaln(made - good + 1)
    found: Floats = np.exp(ways + xlogy(good, success) + (made - good) * np.log1p(-success))
    return found


def _kinds(evidence: Counts) -> tuple[list[tuple[int, int]], Integers]:
    """The distinct pairs of samples and right ones, and the pair of each question."""
    if not evidence.samples:
        raise UsageError("no questions tell nothing", "give the counts of at least one question")
    pairs = list(zip(evidence.samples, evidence.right, strict=True))
    known = sorted(set(pairs))
    place = {pair: number for number, pair in enumerate(known)}
    return known, np.array([place[pair] for pair in pairs], dtype=np.int64)

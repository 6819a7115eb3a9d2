"""The accuracy of a majority vote over more samples than there are.

Wrong answers to a question agree as in a Chinese restaurant process: the next wrong answer
repeats a known one in proportion to its votes, or is new with weight theta. The likelihood of the
groups seen is then Ewens' sampling formula. The law of theta over questions has a simulated
prior, as the success rates have (`difficulty.py`), and is independent of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, ndtri

from forethought.beliefs.difficulty import DifficultyBank
from forethought.beliefs.grid_bank import GridBank, KindsOfEvidence
from forethought.beliefs.sampled import SampledBelief
from forethought.contracts.beliefs import AnswerGroups

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_LAWS = 500
_DRAWS = 150
_LEAST_VOTES = 400
"""Votes simulated per draw of the belief, over all questions."""
_SEEN, _NEW = 6, 6
"""The largest groups seen and the largest new ones; further answers agree with none."""


def thetas() -> Floats:
    """The grid of theta, from almost all wrong answers alike to all different, [11]."""
    return np.geomspace(0.1, 300.0, 11)


def theta_laws(cube: Floats) -> Floats:
    """Laws of theta over questions: normal laws of its logarithm, [laws, 11]."""
    mean = 1.0 + 1.5 * ndtri(cube[:, 0])
    width = 0.3 + 1.2 * cube[:, 1]
    shares = np.exp(-0.5 * ((np.log(thetas()) - mean[:, None]) / width[:, None]) ** 2)
    found: Floats = (shares + 1e-12) / (shares + 1e-12).sum(axis=1, keepdims=True)
    return found


def ewens(groups: Sequence[int], theta: Floats) -> Floats:
    """The probability of one partition of labelled answers into groups of these sizes."""
    count = sum(groups)
    logs = len(groups) * np.log(theta) + sum(gammaln(size) for size in groups)
    found: Floats = np.exp(logs + gammaln(theta) - gammaln(theta + count))
    return found


@dataclass(frozen=True)
class VoteBank:
    """Beliefs about the accuracy of a majority vote over `at` new samples; ties share credit."""

    difficulty: DifficultyBank
    at: tuple[int, ...]
    seed: int = 0

    def condition(self, evidence: AnswerGroups) -> SampledBelief:
        """The belief about the mean vote accuracy on these questions."""
        rng = np.random.default_rng(self.seed)
        success = self.difficulty.posterior(evidence.counts).success[:_DRAWS]
        theta = self._theta(evidence, rng)
        repeats = math.ceil(_LEAST_VOTES / len(evidence.right))
        accuracy = np.zeros((_DRAWS, len(self.at)))
        for question, wrong in enumerate(evidence.wrong):
            shares = _wrong_shares(wrong, theta[:, question], repeats, rng)
            for place, credit in enumerate(
                _credits(success[:, question], shares, sorted(self.at), rng)
            ):
                accuracy[:, place] += credit
        order = np.argsort(np.argsort(self.at))
        return SampledBelief(accuracy[:, order] / len(evidence.right))

    def _theta(self, evidence: AnswerGroups, rng: np.random.Generator) -> Floats:
        """Joint draws of each question's theta, [draws, questions]."""
        kinds = sorted({tuple(sorted(one)) for one in evidence.wrong})
        place = {kind: number for number, kind in enumerate(kinds)}
        of = np.array([place[tuple(sorted(one))] for one in evidence.wrong])
        likelihood = np.stack([ewens(kind, thetas()) for kind in kinds], axis=1)
        seen = KindsOfEvidence(likelihood, np.bincount(of, minlength=len(kinds)))
        bank = GridBank.of(rng.random((_LAWS, 2)), theta_laws)
        found = np.empty((_DRAWS, len(of)))
        for kind, nodes in enumerate(bank.posterior(seen, rng).node_draws(rng, _DRAWS)):
            found[:, of == kind] = thetas()[nodes]
        return found


def _wrong_shares(
    seen: Sequence[int], theta: Floats, repeats: int, rng: np.random.Generator
) -> Floats:
    """Draws of the shares of wrong answers, given the groups seen, [draws, repeats, 13].

    Groups seen and the rest follow a Dirichlet law; new groups break sticks off the rest. The
    last share belongs to answers that agree with none.
    """
    sizes = sorted(seen, reverse=True)
    known, others = sizes[:_SEEN], sum(sizes[_SEEN:])
    shape = (len(theta), repeats)
    weights = np.zeros((*shape, _SEEN + _NEW + 1))
    for place, size in enumerate(known):
        weights[..., place] = rng.gamma(size, size=shape)
    other = rng.gamma(others, size=shape) if others else 0.0
    rest = rng.gamma(theta[:, None], size=shape)
    for place in range(_NEW):
        stick = rng.beta(1.0, theta[:, None], size=shape)
        weights[..., _SEEN + place] = rest * stick
        rest = rest * (1 - stick)
    weights[..., -1] = rest + other
    found: Floats = weights / weights.sum(axis=-1, keepdims=True).clip(1e-300)
    return found


def _credits(
    success: Floats, shares: Floats, at: Sequence[int], rng: np.random.Generator
) -> list[Floats]:
    """The mean credit of a vote over each number of samples, ascending, each [draws]."""
    wrong = shares * (1 - success)[:, None, None]
    right = np.broadcast_to(success[:, None, None], (*shares.shape[:2], 1))
    chances = np.concatenate((right, wrong), axis=-1)
    chances = chances / chances.sum(axis=-1, keepdims=True)
    votes, before, found = np.zeros(chances.shape, dtype=np.int64), 0, []
    for k in at:
        votes = votes + rng.multinomial(k - before, chances)
        before = k
        found.append(vote_credit(votes).mean(axis=1))
    return found


def vote_credit(votes: Integers) -> Floats:
    """The credit of the right answer, the first of [..., groups]; the last are all different."""
    right, rivals, lone = votes[..., 0], votes[..., 1:-1], votes[..., -1]
    most = np.maximum(rivals.max(axis=-1), (lone > 0).astype(np.int64))
    level = (rivals == most[..., None]).sum(axis=-1) + np.where(most == 1, lone, 0)
    tied = (right == most) & (right > 0)
    found: Floats = np.where(right > most, 1.0, np.where(tied, 1.0 / (1 + level), 0.0))
    return found

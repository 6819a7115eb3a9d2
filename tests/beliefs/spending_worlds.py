"""Verified sampling in simulated worlds: net value by spending rule, every answer charged.

Answers to a question are drawn until one is right or the rule stops. Prices are in answers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from forethought.beliefs.plans import most_tries
from forethought.beliefs.worlds import histograms, log_odds, points, rates
from tests.beliefs.worlds_by_hand import World

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
SIGNAL_NOISE = 2.0
"""Standard deviation of a confidence signal around a question's log-odds."""
_MOST = 400


@dataclass(frozen=True)
class Stream:
    """Questions of several worlds, in the order in which they are asked."""

    success: Floats
    """Success rates, [worlds, questions]."""
    needed: Integers
    """Answers up to the first right one, [worlds, questions]; a huge number if there is none."""
    signal: Floats

    @classmethod
    def drawn(cls, world: World, worlds: int, questions: int, seed: int) -> Stream:
        """Draw worlds and the luck of each question."""
        rng = np.random.default_rng(seed)
        success = np.stack([world(rng, questions) for _ in range(worlds)])
        luck = rng.random(success.shape)
        with np.errstate(divide="ignore", over="ignore"):
            needed = np.ceil(np.log(luck) / np.log1p(-success))
            odds = np.log(success) - np.log1p(-success)
        odds = odds.clip(log_odds()[0], log_odds()[-1])
        signal = odds + SIGNAL_NOISE * rng.standard_normal(success.shape)
        return cls(success, needed.clip(1, 1 << 40).astype(np.int64), signal)

    def net(self, caps: Integers, worth: float) -> Floats:
        """Net value of each question if at most `caps` answers are drawn."""
        found: Floats = worth * (self.needed <= caps) - np.minimum(self.needed, caps)
        return found

    def informed(self, worth: float) -> Floats:
        """Net value if the success rates are known."""
        pays = worth * self.success > 1
        return np.where(pays, worth - self.needed, 0.0)


def ruled(
    stream: Stream, worth: float, *, learns: bool = True, signal: bool = False, laws: int = 5000
) -> Floats:
    """Net values by the belief of the bank, which learns from question to question."""
    bank = histograms(points(np.random.default_rng(12345), laws))
    worlds, questions = stream.success.shape
    logs = np.zeros((worlds, laws))
    nets = np.zeros((worlds, questions))
    for question in range(questions):
        weights = np.exp(logs - logsumexp(logs, axis=1, keepdims=True))
        own = weights @ bank
        heard = _heard(stream.signal[:, question]) if signal else np.ones_like(own)
        caps = most_tries(own * heard / (own * heard).sum(axis=1, keepdims=True), worth, _MOST)
        needed = stream.needed[:, question]
        nets[:, question] = worth * (needed <= caps) - np.minimum(needed, caps)
        if learns:
            seen = _seen(needed, caps) * heard
            logs += np.log((bank @ seen.T).T.clip(1e-300))
    return nets


def best_fixed(stream: Stream, worth: float, most: int = 256) -> tuple[int, Floats]:
    """The single cap with the best mean over these worlds, in hindsight, and its net values."""
    caps = range(1, most + 1)
    means = [stream.net(np.array(cap), worth).mean() for cap in caps]
    best = caps[int(np.argmax(means))]
    return best, stream.net(np.array(best), worth)


def _seen(needed: Integers, caps: Integers) -> Floats:
    """The likelihood of what was seen at each rate of the grid, [worlds, 96]."""
    solved = (needed <= caps)[:, None]
    failures = np.where(needed <= caps, needed - 1, caps)[:, None]
    found: Floats = np.where(solved, rates(), 1.0) * (1 - rates()) ** failures
    return found


def _heard(signal: Floats) -> Floats:
    """The likelihood of the signals at each rate of the grid, [worlds, 96]."""
    places = np.concatenate((log_odds()[:1], log_odds()))
    found: Floats = np.exp(-0.5 * ((signal[:, None] - places) / SIGNAL_NOISE) ** 2)
    return found

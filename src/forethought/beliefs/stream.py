"""Beliefs on a stream: a rate that drifts, and an alarm when it changes.

Conjugate counts are exact at each step, where a posterior in the space of network weights is not
(arXiv:2301.01828). `class_means.py` has the classifier of that paper.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from forethought.beliefs.success import UNIFORM, Beta
from forethought.contracts.errors import BadParameterError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class DiscountedRate:
    """The belief about a rate of which old outcomes tell less: counts shrink at each outcome."""

    prior: Beta = UNIFORM
    keep: float = 0.99
    """Share of the evidence that an outcome leaves; 1 forgets nothing and is Beta-Binomial."""

    def __post_init__(self) -> None:
        if not 0 < self.keep <= 1:
            raise BadParameterError(
                f"a share of {self.keep:g} of the evidence cannot be kept",
                "give a share above 0 and at most 1, such as 0.99",
            )

    def condition(self, evidence: Iterable[bool]) -> Beta:
        """The law of the newest rate, given outcomes in order."""
        belief = self.prior
        for outcome in evidence:
            belief = self.after(belief, outcome)
        return belief

    def after(self, belief: Beta, outcome: bool) -> Beta:
        """The belief after one more outcome."""
        a = self.prior.a + self.keep * (belief.a - self.prior.a)
        b = self.prior.b + self.keep * (belief.b - self.prior.b)
        return Beta(a + outcome, b + (not outcome))


@dataclass(frozen=True)
class ChangeAlarm:
    """The posterior of the time since the rate last changed (Bayesian change points, 0710.3742).

    Before each outcome the rate changes with probability `hazard`, to a draw of the prior. All
    sums are exact; outcomes older than `longest` count as one state.
    """

    hazard: float = 1 / 250
    prior: Beta = UNIFORM
    threshold: float = 0.9
    """Posterior probability of a recent change that raises the alarm."""
    recent: int = 50
    """A change within so many outcomes is recent."""
    longest: int = 2000
    logs: Floats = field(default_factory=lambda: np.zeros(1))
    """Log-probability of each run length since the last change, [lengths]."""
    right: Floats = field(default_factory=lambda: np.zeros(1))
    """Successes in each run."""
    made: Floats = field(default_factory=lambda: np.zeros(1))
    """Outcomes in each run."""
    seen: int = 0
    """Outcomes so far."""

    def after(self, outcome: bool) -> ChangeAlarm:
        """The alarm after one more outcome."""
        logs, right, made = self.logs, self.right, self.made
        if self.seen:
            fresh = float(np.log(self.hazard) + logsumexp(logs))
            logs = np.concatenate(([fresh], logs + np.log1p(-self.hazard)))
            right, made = np.concatenate(([0.0], right)), np.concatenate(([0.0], made))
        mean = (self.prior.a + right) / (self.prior.a + self.prior.b + made)
        logs = logs + np.log(mean if outcome else 1 - mean)
        return self._cut(logs - logsumexp(logs), right + outcome, made + 1)

    @property
    def rate(self) -> float:
        """The expected rate of the newest outcome."""
        means = (self.prior.a + self.right) / (self.prior.a + self.prior.b + self.made)
        return float(np.exp(self.logs) @ means)

    @property
    def changed(self) -> float:
        """The probability that the rate changed within the recent outcomes.

        0 until twice as many outcomes were seen, since nothing precedes the first run.
        """
        if self.seen < 2 * self.recent:
            return 0.0
        return float(np.exp(self.logs[: self.recent]).sum())

    @property
    def raised(self) -> bool:
        """Whether the alarm is raised."""
        return self.changed > self.threshold

    def _cut(self, logs: Floats, right: Floats, made: Floats) -> ChangeAlarm:
        if len(logs) > self.longest:
            joined = float(logsumexp(logs[self.longest - 1 :]))
            logs = np.concatenate((logs[: self.longest - 1], [joined]))
            right, made = right[: self.longest], made[: self.longest]
        return ChangeAlarm(
            self.hazard, self.prior, self.threshold, self.recent, self.longest,
            logs, right, made, self.seen + 1,
        )  # fmt: skip

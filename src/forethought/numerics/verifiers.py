"""Expected reward of resampling with an imperfect verifier (arXiv:2411.17501).

Attempts repeat until the verifier accepts an answer or the attempts run out. An accepted
answer is worth 1 if right and -penalty if wrong; no answer is worth 0. Tasks are weighted by
their shares at every attempt.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from forethought.contracts.errors import UsageError


@dataclass(frozen=True)
class Verifier:
    """True positive and true negative rates of a verifier, from 0 to 1."""

    completeness: float
    """Probability that a right answer is accepted."""
    soundness: float
    """Probability that a wrong answer is rejected."""

    @classmethod
    def of(cls, accepted: Sequence[bool], right: Sequence[bool]) -> Verifier:
        """The observed rates on labelled answers.

        UsageError if all answers are right or all are wrong, since one rate is then unknown.
        """
        passed, true = np.array(accepted, dtype=bool), np.array(right, dtype=bool)
        if len(passed) != len(true) or true.all() or not true.any():
            raise UsageError(
                f"{int(true.sum())} right of {len(true)} answers do not determine its rates",
                "give its verdicts on both right and wrong answers",
            )
        return cls(float(passed[true].mean()), 1.0 - float(passed[~true].mean()))


@dataclass(frozen=True)
class Kind:
    """A class of equally hard tasks."""

    share: float
    """Share of all tasks; the shares of all kinds sum to 1."""
    success: float
    """Probability that one attempt is right."""


@dataclass(frozen=True)
class Resampling:
    """Kinds of tasks, a verifier and the cost of its errors; `attempts` may be infinite."""

    kinds: tuple[Kind, ...]
    verifier: Verifier
    penalty: float = 1.0
    """Cost of an accepted wrong answer; at least 0."""
    price: float = 0.0
    """Cost of an attempt; at least 0."""

    def right(self, attempts: float) -> float:
        """Probability that a right answer is accepted within these attempts."""
        return self._total(self._accepted_right, attempts)

    def wrong(self, attempts: float) -> float:
        """Probability that a wrong answer is accepted within these attempts."""
        return self._total(self._accepted_wrong, attempts)

    def nothing(self, attempts: float) -> float:
        """Probability that no answer is accepted."""
        return float(self._shares @ self._rejected**attempts)

    def tries(self, attempts: float) -> float:
        """Mean number of attempts made, of at most `attempts`."""
        return self._total(np.ones(len(self.kinds)), attempts)

    def accuracy(self, attempt: int) -> float:
        """Probability that an answer accepted at this attempt is right; attempts count from 1.

        It falls with the attempts if kinds differ, since later attempts come from harder tasks. NaN
        if no answer can be accepted at this attempt.
        """
        reached = self._shares * self._rejected ** (attempt - 1)
        right = float(reached @ self._accepted_right)
        wrong = float(reached @ self._accepted_wrong)
        return right / (right + wrong) if right + wrong else math.nan

    def reward(self, attempts: float) -> float:
        """Expected reward of these attempts."""
        return self._total(self._worth, attempts)

    def best(self) -> float:
        """The number of attempts of greatest reward, possibly infinite; ties go to the fewest."""
        # The worth of a kind is monotonic in its rejection rate, so the gain of one more attempt
        # changes sign at most once.
        if self._gain(math.inf) > 0:
            return math.inf if self.reward(math.inf) > 0 else 0.0
        return float(self._last_gain()) if self._gain(1) > 0 else 0.0

    def _last_gain(self) -> int:
        """The last attempt with a positive gain, by bisection."""
        high = 2
        while self._gain(high) > 0:
            high *= 2
        low = high // 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._gain(middle) > 0 else (low, middle)
        return low

    def _gain(self, attempt: float) -> float:
        """The gain of this attempt, scaled by how often the most rejected kind reaches it."""
        worth = self._shares * self._worth
        most = float(self._rejected[worth != 0].max(initial=0.0))
        if not most:  # the first attempt is always accepted
            return float(worth.sum()) if attempt == 1 else 0.0
        return float(worth @ np.minimum(1.0, self._rejected / most) ** (float(attempt) - 1))

    def _total(self, each: np.ndarray, attempts: float) -> float:
        """The sum over kinds of the value per attempt times the mean number of attempts."""
        left = 1.0 - self._rejected
        endless = left <= 0  # the verifier never accepts: all attempts are made
        made = (1.0 - self._rejected**attempts) / np.where(endless, 1.0, left)
        made = np.where(endless, attempts, made)
        gives = self._shares * each != 0
        return float((self._shares * each)[gives] @ made[gives])

    @cached_property
    def _shares(self) -> np.ndarray:
        return np.array([kind.share for kind in self.kinds])

    @cached_property
    def _accepted_right(self) -> np.ndarray:
        success = np.array([kind.success for kind in self.kinds])
        return self.verifier.completeness * success

    @cached_property
    def _accepted_wrong(self) -> np.ndarray:
        success = np.array([kind.success for kind in self.kinds])
        return (1.0 - self.verifier.soundness) * (1.0 - success)

    @cached_property
    def _rejected(self) -> np.ndarray:
        left: np.ndarray = 1.0 - self._accepted_right - self._accepted_wrong
        return left.clip(min=0.0)

    @cached_property
    def _worth(self) -> np.ndarray:
        """Expected reward of one attempt, by kind."""
        return self._accepted_right - self.penalty * self._accepted_wrong - self.price

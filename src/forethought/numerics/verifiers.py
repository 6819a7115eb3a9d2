"""Resampling behind an imperfect verifier: what so many attempts are worth.

Attempts go on until the verifier accepts one, or all are used. An accepted answer is worth 1
where it is right and -penalty where it is wrong; no answer is worth 0. The formulas are those of
arXiv:2411.17501, with tasks weighted by their shares at every attempt.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forethought.contracts.errors import UsageError


@dataclass(frozen=True)
class Verifier:
    """How often it accepts and rejects rightly; both from 0 to 1."""

    completeness: float
    """Chance that a right answer is accepted."""
    soundness: float
    """Chance that a wrong answer is rejected."""

    @classmethod
    def of(cls, accepted: Sequence[bool], right: Sequence[bool]) -> Verifier:
        """The rates that were seen where the truth is known.

        UsageError where nothing was right, or nothing wrong: then one rate is unknown.
        """
        passed, true = np.array(accepted, dtype=bool), np.array(right, dtype=bool)
        if len(passed) != len(true) or true.all() or not true.any():
            raise UsageError(
                f"{int(true.sum())} right of {len(true)} answers tell nothing of a verifier",
                "give its verdicts on answers of which some are right and some are wrong",
            )
        return cls(float(passed[true].mean()), 1.0 - float(passed[~true].mean()))


@dataclass(frozen=True)
class Kind:
    """Tasks that are equally hard."""

    share: float
    """Of all tasks; the shares of all kinds sum to 1."""
    success: float
    """Chance that one attempt is right."""


@dataclass(frozen=True)
class Resampling:
    """Tasks of some kinds, a verifier and what its errors cost; `attempts` may be infinite."""

    kinds: tuple[Kind, ...]
    verifier: Verifier
    penalty: float = 1.0
    """What an answer costs that is accepted and wrong; at least 0."""
    price: float = 0.0
    """What an attempt costs; at least 0."""

    def right(self, attempts: float) -> float:
        """Chance that a right answer is accepted within so many attempts."""
        return self._total(self._accepted_right, attempts)

    def wrong(self, attempts: float) -> float:
        """Chance that a wrong answer is accepted."""
        return self._total(self._accepted_wrong, attempts)

    def nothing(self, attempts: float) -> float:
        """Chance that none is accepted."""
        return float(self._shares @ self._rejected**attempts)

    def tries(self, attempts: float) -> float:
        """Attempts that are made on average, where at most so many are allowed."""
        return self._total(np.ones(len(self.kinds)), attempts)

    def accuracy(self, attempt: int) -> float:
        """Chance that an answer is right that is accepted at this attempt, counted from 1.

        It falls with the attempts where kinds differ, since later ones come from harder tasks.
        NaN where none can be accepted then.
        """
        reached = self._shares * self._rejected ** (attempt - 1)
        right = float(reached @ self._accepted_right)
        wrong = float(reached @ self._accepted_wrong)
        return right / (right + wrong) if right + wrong else math.nan

    def reward(self, attempts: float) -> float:
        """What so many attempts are worth on average."""
        return self._total(self._worth, attempts)

    def best(self) -> float:
        """Attempts of the greatest reward, of equal ones the fewest: whole, or infinite."""
        # Kinds that are rejected more often are all worth more or all worth less, so the gain of
        # one more attempt changes its sign once at most.
        if self._gain(math.inf) > 0:
            return math.inf if self.reward(math.inf) > 0 else 0.0
        return float(self._last_gain()) if self._gain(1) > 0 else 0.0

    def _last_gain(self) -> int:
        """The last attempt that gains, where the first does and the last ones do not."""
        high = 2
        while self._gain(high) > 0:
            high *= 2
        low = high // 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._gain(middle) > 0 else (low, middle)
        return low

    def _gain(self, attempt: float) -> float:
        """What this attempt adds, over how often the most rejected of all kinds come to it."""
        worth = self._shares * self._worth
        most = float(self._rejected[worth != 0].max(initial=0.0))
        if not most:  # the first attempt is always accepted
            return float(worth.sum()) if attempt == 1 else 0.0
        return float(worth @ np.minimum(1.0, self._rejected / most) ** (float(attempt) - 1))

    def _total(self, each: np.ndarray, attempts: float) -> float:
        """Over all kinds, what each attempt gives times how many are made on average."""
        left = 1.0 - self._rejected
        endless = left <= 0  # nothing is ever accepted: all attempts are made
        made = (1.0 - self._rejected**attempts) / np.where(endless, 1.0, left)
        made = np.where(endless, attempts, made)
        gives = self._shares * each != 0
        return float((self._shares * each)[gives] @ made[gives])

    @property
    def _shares(self) -> np.ndarray:
        return np.array([kind.share for kind in self.kinds])

    @property
    def _accepted_right(self) -> np.ndarray:
        success = np.array([kind.success for kind in self.kinds])
        return self.verifier.completeness * success

    @property
    def _accepted_wrong(self) -> np.ndarray:
        success = np.array([kind.success for kind in self.kinds])
        return (1.0 - self.verifier.soundness) * (1.0 - success)

    @property
    def _rejected(self) -> np.ndarray:
        left: np.ndarray = 1.0 - self._accepted_right - self._accepted_wrong
        return left.clip(min=0.0)

    @property
    def _worth(self) -> np.ndarray:
        """Of one attempt, by kind."""
        return self._accepted_right - self.penalty * self._accepted_wrong - self.price

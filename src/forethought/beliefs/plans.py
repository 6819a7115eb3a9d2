"""The expected net value of each next step for one question: sample, switch, stop or abstain.

A plan draws an answer, looks at it, and then takes the best step again. Its value is exact for the
belief, up to a horizon of further answers, by backward induction over the states of `answers.py`.
Answers that state nothing are drawn again: they only raise the price of one that does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forethought.beliefs.answers import AnswerBelief, Seen, leading_chance
from forethought.beliefs.worlds import rates
from forethought.contracts.spending import Alternative

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

HORIZON = {1: 8, 2: 5, 3: 4}
"""Further answers that a plan looks ahead, by the number of ways; states multiply with both."""
_VERIFIED_HORIZON = 64


@dataclass(frozen=True)
class WayPrice:
    """The expected price of answers of one way, in the unit of the value."""

    way: str
    once: float
    """Paid with the way's first answer alone, such as a prefill; 0 once it is paid."""
    each: float


class Outlook(NamedTuple):
    """What a plan is expected to bring."""

    worth: float
    """The value of the final answer, without prices."""
    right: float
    """The probability that the final answer is right."""
    price: float
    answers: float

    @property
    def net(self) -> float:
        """The value minus the price."""
        return self.worth - self.price


@dataclass(frozen=True)
class Stakes:
    """What is at stake, and what is known."""

    belief: AnswerBelief
    seen: Seen
    prices: Sequence[WayPrice]
    """In the order of the belief's laws."""
    value: float
    """The value of a right answer."""
    penalty: float
    """The loss for a wrong answer, as a share of `value`."""
    most: int
    """Answers that may still be drawn."""
    verified: bool = False
    """Whether a verifier refused all answers so far, and accepts right ones alone."""
    _outlooks: dict[tuple[Seen, int], Outlook] = field(default_factory=dict)

    def alternatives(self) -> tuple[Alternative, ...]:
        """All actions, the best first; an end precedes a sample of equal value."""
        ways = range(len(self.prices)) if self.most else ()
        plan = self._until_accepted if self.verified else self._sampled
        plans = [self._named(place, plan(place)) for place in ways]
        return tuple(sorted([*self._ends(), *plans], key=lambda one: -one.net))

    def document(self) -> dict[str, Any]:
        """The belief as plain JSON values."""
        right = 0.0 if self.verified else leading_chance(self.belief.right(self.seen))
        return {
            "right": right,
            "groups": [sum(one) for one in self.seen.groups],
            "calibrated": False,
            "success": {one.way: self._success(place) for place, one in enumerate(self.prices)},
        }

    def _ends(self) -> list[Alternative]:
        none = Alternative("abstain", 0.0, 0.0)
        if self.verified or not any(self.seen.drawn):
            return [none]
        # Answers without a result are still answers: without a penalty, one beats none.
        right = leading_chance(self.belief.right(self.seen))
        return [Alternative("stop", self._answered(right), right), none]

    def _answered(self, right: float) -> float:
        return self.value * (right - self.penalty * (1 - right))

    def _named(self, place: int, found: Outlook) -> Alternative:
        way = self.prices[place].way
        return Alternative("sample", found.net, found.right, found.price, way, found.answers)

    def _sampled(self, place: int) -> Outlook:
        horizon = min(self.most, HORIZON[len(self.prices)])
        return self._after(self.seen, place, horizon - 1)

    def _after(self, seen: Seen, place: int, left: int) -> Outlook:
        """One answer of a way, and then the best steps, with `left` further answers at most."""
        price = self.prices[place]
        now = self.belief.evidence(seen)
        answers = 1 / seen.stating(place)
        paid = answers * price.each + (price.once if not seen.drawn[place] else 0.0)
        worth = right = 0.0
        for later, times in seen.one_more(place).items():
            chance = times * self.belief.evidence(later) / now
            then = self._best(later, left)
            worth += chance * then.worth
            right += chance * then.right
            paid += chance * then.price
            answers += chance * then.answers
        return Outlook(worth, right, paid, answers)

    def _best(self, seen: Seen, left: int) -> Outlook:
        """The best step from a state: an end, or an answer of some way."""
        if (seen, left) not in self._outlooks:
            right = leading_chance(self.belief.right(seen))
            worth = self._answered(right)
            options = [Outlook(max(0.0, worth), right if worth >= 0 else 0.0, 0.0, 0.0)]
            if left:
                options += [self._after(seen, p, left - 1) for p in range(len(self.prices))]
            self._outlooks[seen, left] = max(options, key=lambda one: one.net)
        return self._outlooks[seen, left]

    def _until_accepted(self, place: int) -> Outlook:
        """Answers of one way until the verifier accepts one or the next one does not pay."""
        price = self.prices[place]
        once = 0.0 if self.seen.drawn[place] else price.once
        missed = self.belief.missed(
            self.seen.drawn, place, min(self.most, _VERIFIED_HORIZON)
        ).tolist()
        found = Outlook(0.0, 0.0, 0.0, 0.0)
        for before, after in reversed(list(pairwise(missed))):
            chance = 1 - after / before
            then = found if found.net > 0 else Outlook(0.0, 0.0, 0.0, 0.0)
            paid = price.each + (1 - chance) * then.price
            worth = chance * self.value + (1 - chance) * then.worth
            right = chance + (1 - chance) * then.right
            found = Outlook(worth, right, paid, 1 + (1 - chance) * then.answers)
        return found._replace(price=found.price + once)

    def _success(self, place: int) -> dict[str, float]:
        found = (
            self.belief.success_refused(self.seen.drawn, place)
            if self.verified
            else self.belief.success(self.seen, place)
        )
        mean, low, high = found
        return {"mean": mean, "low": low, "high": high}


def most_tries(laws: Floats, worth: float, most: int) -> Integers:
    """Answers that pay while a verifier refuses each, for laws [questions, 96].

    `worth` is the value of a right answer in prices of one answer. Each refusal makes a right
    answer less probable, so the first answer that does not pay is the last word.
    """
    misses = (1 - rates())[:, None] ** np.arange(most + 1)
    none = laws @ misses
    right = 1 - none[:, 1:] / none[:, :-1].clip(1e-300)
    pays = worth * right > 1
    found: Integers = np.where(pays.all(axis=1), most, np.argmin(pays, axis=1))
    return found

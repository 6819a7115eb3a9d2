"""Which answer to one question is right, and what further answers would show.

A question has one right answer. Each way of asking, such as a model, states it with an unknown
success rate. A shortened prompt has the rate of the whole one, or has lost what the answer needs.
Wrong answers agree as in a Chinese restaurant process (`votes.py`). All ways share them. Both laws
are this project's broad priors, not calibrated on the question's task. Given them, the probability
that a group of equal answers is right is exact, and so is its law after further answers: groups of
equal sizes are interchangeable, so the sums run over sizes. An answer that states nothing, such as
one that the token limit cut off, says nothing about which group is right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from forethought.beliefs.votes import ewens, theta_laws, thetas
from forethought.beliefs.worlds import NODES, histograms, points, rates
from forethought.contracts.beliefs import LEVEL, tails

Floats = NDArray[np.float64]
Sizes = tuple[int, ...]
"""The answers of each way."""
_PRIOR_WORLDS = 1000


@dataclass(frozen=True)
class Seen:
    """The answers so far, by agreement."""

    groups: tuple[Sizes, ...]
    """Answers of each way in each group of equal answers, ascending."""
    blanks: Sizes
    """Answers of each way that state nothing."""

    @classmethod
    def of(cls, ways: int, answers: Sequence[tuple[int, int | None]]) -> Seen:
        """From the way and the group of each answer."""
        sizes: dict[int | None, list[int]] = {None: [0] * ways}
        for way, group in answers:
            sizes.setdefault(group, [0] * ways)[way] += 1
        blanks = tuple(sizes.pop(None))
        return cls(tuple(sorted(map(tuple, sizes.values()))), blanks)

    @property
    def drawn(self) -> Sizes:
        """All answers of each way."""
        return tuple(map(sum, zip(self.blanks, *self.groups, strict=True)))

    @property
    def stated(self) -> Sizes:
        """The answers of each way that state something."""
        return tuple(map(sum, zip((0,) * len(self.blanks), *self.groups, strict=True)))

    def stating(self, way: int) -> float:
        """The expected share of a way's answers that state something; 1 before any answer."""
        return (self.stated[way] + 1) / (self.drawn[way] + 1)

    def with_answer(self, way: int, group: Sizes | None) -> Seen:
        """After one more answer that states something, in a group of these sizes or a new one."""
        groups, old = list(self.groups), group or (0,) * len(self.blanks)
        if group is not None:
            groups.remove(group)
        grown = tuple(count + (place == way) for place, count in enumerate(old))
        return Seen(tuple(sorted([*groups, grown])), self.blanks)

    def one_more(self, way: int) -> dict[Seen, int]:
        """All states after one more such answer, with the number of groups that lead to each."""
        steps: list[tuple[Sizes | None, int]] = [*Counter(self.groups).items(), (None, 1)]
        return {self.with_answer(way, group): times for group, times in steps}


@dataclass(frozen=True)
class AnswerBelief:
    """The belief about one question's answers."""

    laws: tuple[Floats, ...]
    """The law of each way's success rate, on the grid of `worlds.rates`: the share of right ones
    among its answers that state something."""
    kept: float | None = None
    """The probability that the second way has the rate of the first one, and is not always wrong;
    None if it has a law of its own."""
    _misses: dict[tuple[int, int, int], float] = field(default_factory=dict)
    _wrong: dict[Sizes, float] = field(default_factory=dict)
    _known: dict[Seen, Floats] = field(default_factory=dict)

    def right(self, seen: Seen) -> Floats:
        """The probability that each group is right, and that none is, [groups + 1]."""
        joint = self._joint(seen)
        found: Floats = joint / joint.sum()
        return found

    def evidence(self, seen: Seen) -> float:
        """The probability of the answers, as one sequence."""
        return float(self._joint(seen).sum())

    def missed(self, failures: Sizes, way: int, more: int) -> Floats:
        """The probability that none of 0, 1, ... `more` answers of a way is right.

        `failures` are the answers of each way that a verifier refused.
        """
        none = (0,) * len(failures)
        made = [
            tuple(count + further * (place == way) for place, count in enumerate(failures))
            for further in range(more + 1)
        ]
        found = np.array([self._stated(none, one) for one in made])
        missed: Floats = found / found[0]
        return missed

    def success(self, seen: Seen, way: int, level: float = LEVEL) -> tuple[float, float, float]:
        """The mean of a way's success rate, and the ends of its central interval."""
        none = (0,) * len(seen.blanks)
        shares = np.zeros(NODES)
        for good, chance in zip((*seen.groups, none), self.right(seen), strict=True):
            own = self._posterior(way, good, seen.stated)
            shares += chance * own / own.sum()
        return _summary(shares, level)

    def success_refused(
        self, failures: Sizes, way: int, level: float = LEVEL
    ) -> tuple[float, float, float]:
        """The same if a verifier has refused so many answers of each way."""
        own = self._posterior(way, (0,) * len(failures), failures)
        return _summary(own / own.sum(), level)

    def _joint(self, seen: Seen) -> Floats:
        """The probability of the answers with each group as the right one, and with none."""
        if seen not in self._known:
            sizes = [sum(group) for group in seen.groups]
            none = (0,) * len(self.laws)
            cases = [(group, Counter(sizes) - Counter([sum(group)])) for group in seen.groups]
            cases.append((none, Counter(sizes)))
            stated = seen.stated
            self._known[seen] = np.array(
                [self._stated(right, stated) * self._agree(wrong) for right, wrong in cases]
            )
        return self._known[seen]

    def _stated(self, right: Sizes, drawn: Sizes) -> float:
        """The probability of the counts of right answers, as one sequence."""
        first = sum(
            chance * self._rate(0, good, made) for chance, good, made in self._cases(right, drawn)
        )
        alone = range(1 if self.kept is None else 2, len(drawn))
        return float(first * np.prod([self._rate(way, right[way], drawn[way]) for way in alone]))

    def _cases(self, right: Sizes, drawn: Sizes) -> list[tuple[float, int, int]]:
        """The right and all answers at the first way's rate, with a probability for each case.

        They include those of the second way in the case that it has this rate.
        """
        if self.kept is None:
            return [(1.0, right[0], drawn[0])]
        both = self.kept, right[0] + right[1], drawn[0] + drawn[1]
        return [both, ((1 - self.kept) * (not right[1]), right[0], drawn[0])]

    def _posterior(self, way: int, right: Sizes, drawn: Sizes) -> Floats:
        """The law of a way's rate after these answers, not normalised, [96]."""
        if way > 1 or (way == 1 and self.kept is None):
            return _weighed(self.laws[way], right[way], drawn[way])
        cases = self._cases(right, drawn)
        found = [chance * _weighed(self.laws[0], good, made) for chance, good, made in cases]
        if way == 1:  # in the other case it is never right
            found[1] = np.append(found[1].sum(), np.zeros(NODES - 1))
        total: Floats = np.sum(found, axis=0)
        return total

    def _rate(self, way: int, right: int, made: int) -> float:
        """The probability of `right` given answers being right, and the others wrong."""
        key = way, right, made
        if key not in self._misses:
            self._misses[key] = float(_weighed(self.laws[way], right, made).sum())
        return self._misses[key]

    def _agree(self, wrong: Counter[int]) -> float:
        """The probability that wrong answers agree in groups of these sizes."""
        sizes = tuple(sorted(wrong.elements()))
        if sizes not in self._wrong:
            self._wrong[sizes] = float(_theta_law() @ ewens(sizes, thetas()))
        return self._wrong[sizes]


def _summary(shares: Floats, level: float) -> tuple[float, float, float]:
    low, high = (rates()[np.searchsorted(shares.cumsum(), end)] for end in tails(level))
    return float(shares @ rates()), float(low), float(high)


def _weighed(law: Floats, right: int, made: int) -> Floats:
    """A law of rates, weighed by the probability of the answers at each rate."""
    found: Floats = law * rates() ** right * (1 - rates()) ** (made - right)
    return found


def leading_chance(chances: Floats) -> float:
    """The largest number but for the last, which belongs to no group; 0 without a group."""
    return float(chances[:-1].max(initial=0.0))


@cache
def broad_law() -> Floats:
    """The prior law of a question's success rate, averaged over simulated worlds, [96]."""
    found: Floats = histograms(points(np.random.default_rng(0), _PRIOR_WORLDS)).mean(axis=0)
    return found


def law_of_mean(mean: float) -> Floats:
    """The broad law, tilted in log-odds until its mean is `mean`, [96].

    The share of questions that no answer solves is tilted as the lowest rate is.
    """
    odds = logit(rates()[1:])
    places = np.concatenate((odds[:1], odds))
    low, high = -30.0, 30.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _tilted(places, middle) @ rates() < mean else (low, middle)
    return _tilted(places, (low + high) / 2)


def shifted_mean(mean: float, by: float) -> float:
    """A rate whose log-odds are higher by so much."""
    return float(expit(logit(mean) + by))


def _tilted(places: Floats, by: float) -> Floats:
    logs = by * places + np.log(broad_law().clip(1e-300))
    found = np.exp(logs - logs.max())
    total: Floats = found / found.sum()
    return total


@cache
def _theta_law() -> Floats:
    found: Floats = theta_laws(np.random.default_rng(0).random((_PRIOR_WORLDS, 2))).mean(axis=0)
    return found

"""Coverage and vote accuracy of more answers than drawn, as beliefs with 90 % intervals."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from forethought.beliefs.difficulty import DifficultyBank, prior_driven
from forethought.beliefs.success import Beta, ZeroInflatedBeta
from forethought.beliefs.votes import VoteBank
from forethought.contracts.beliefs import AnswerGroups, Belief, Counts
from forethought.contracts.comparison import Interval
from forethought.contracts.errors import UnknownNameError, UsageError
from forethought.contracts.forecast import Economics, Further, Rival, Unsolved
from forethought.evaluation.draws import Draws
from forethought.numerics.equal_cost import UnitCost

MOST_ANSWERS = 100_000
SIMULATED, ZERO_INFLATED = "simulated", "zero-inflated"
PRIORS = (SIMULATED, ZERO_INFLATED)
"""Simulated worlds of any shape; or one Beta law of success rates and unsolvable questions."""
_DRAWS = 4000


@cache
def difficulty_bank() -> DifficultyBank:
    """The bank of simulated worlds; made once in a process, in about a second."""
    return DifficultyBank.simulated(())


def powers_of_two(most: int) -> list[int]:
    """Powers of two below `most`, then `most` itself."""
    return sorted({1 << place for place in range(most.bit_length())} | {most})


def answer_groups(drawn: Sequence[Draws]) -> AnswerGroups:
    """The answers by agreement; equal right answers count as one group."""
    right, wrong = [], []
    for one in drawn:
        pairs = list(zip(one.groups, one.right, strict=True))
        sizes = Counter(group for group, value in pairs if value != 1.0 and group is not None)
        empty = sum(group is None and value != 1.0 for group, value in pairs)
        right.append(sum(value == 1.0 for _, value in pairs))
        wrong.append((*sizes.values(), *[1] * empty))
    return AnswerGroups(tuple(right), tuple(wrong))


def surprise(drawn: Sequence[Draws]) -> float:
    """The probability of counts as untypical of the prior's worlds as these."""
    return difficulty_bank().posterior(answer_groups(drawn).counts).surprise()


def unsolved(drawn: Sequence[Draws]) -> Unsolved | None:
    """What more answers promise for questions without a right one; None without such questions."""
    seen = answer_groups(drawn).counts
    posterior = difficulty_bank().posterior(seen)
    none = np.array(seen.right) == 0
    if not none.any():
        return None
    within = posterior.solved_within(min(seen.samples))
    first, more = posterior.next_success()[none].mean(), within[none].mean()
    return Unsolved(int(none.sum()), float(first), float(more))


@dataclass(frozen=True)
class LookAhead:
    """Forecasts up to a number of answers."""

    up_to: int
    pfn: Path | None = None
    """A trained network that takes the place of the simulated worlds."""
    curves: Path | None = None
    """A network of learning curves, which forecasts choices by score and by likelihood."""
    prior: str = SIMULATED
    """The prior over success rates, of PRIORS."""

    def __post_init__(self) -> None:
        if not 1 <= self.up_to <= MOST_ANSWERS:
            raise UsageError(
                f"{self.up_to} answers are no number to forecast",
                f"give a number from 1 to {MOST_ANSWERS:,}",
            )
        if self.prior not in PRIORS:
            raise UnknownNameError.among("prior", self.prior, PRIORS)
        if self.prior != SIMULATED and self.pfn is not None:
            raise UsageError(
                "a network has its own prior, and --prior names another", "leave out one of them"
            )

    def further(self, most: int) -> list[int]:
        """Powers of two above `most`, then the greatest number of answers, if that is above."""
        return [k for k in powers_of_two(self.up_to) if k > most]

    def beliefs(
        self, drawn: Sequence[Draws], at: Sequence[int], tokens: UnitCost, flops: UnitCost
    ) -> tuple[Further, ...]:
        """The beliefs at each number of answers; `drawn` has answers that are right or wrong."""
        if not at:
            return ()
        seen = answer_groups(drawn)
        coverage = intervals(self._coverage(seen.counts, at))
        votes = intervals(VoteBank(difficulty_bank(), tuple(at)).condition(seen))
        return tuple(
            Further(k, oracle, vote, prior_driven(k, seen.counts), tokens.of(k), flops.of(k))
            for k, oracle, vote in zip(at, coverage, votes, strict=True)
        )

    def economics(
        self,
        cheaper: tuple[str, Sequence[Draws]],
        dearer: tuple[str, Sequence[Draws]],
        task: str,
        costs: tuple[UnitCost, UnitCost],
    ) -> Economics:
        """The cheaper recipe with several answers beside the dearer one with one answer.

        Both answered the same questions. The belief about the dearer score counts each question
        once, and the two beliefs are independent, so the probabilities err towards one half.
        """
        at = powers_of_two(self.up_to)
        seen, one = answer_groups(cheaper[1]), _single_score(dearer[1])
        coverage = self._coverage(seen.counts, at)
        votes = VoteBank(difficulty_bank(), tuple(at)).condition(seen)
        columns = (intervals(votes), _ahead(votes, one), intervals(coverage), _ahead(coverage, one))
        rivals = tuple(
            Rival(k, vote, ahead, best, best_ahead, costs[0].of(k), prior_driven(k, seen.counts))
            for k, vote, ahead, best, best_ahead in zip(at, *columns, strict=True)
        )
        score, flops = intervals(one)[0], costs[1].of(1)
        return Economics(cheaper[0], dearer[0], task, len(dearer[1]), score, flops, rivals)

    def _coverage(self, seen: Counts, at: Sequence[int]) -> Belief:
        if self.prior == ZERO_INFLATED:
            return ZeroInflatedBeta(tuple(at)).condition(seen)
        if self.pfn is None:
            return difficulty_bank().posterior(seen).coverage(at)
        # Imported late: only a network needs torch.
        from forethought.beliefs.amortised.coverage import CoverageNetwork

        return CoverageNetwork.read(self.pfn, tuple(at)).condition(seen)


def intervals(belief: Belief) -> list[Interval]:
    """The mean and the 90 % interval of each quantity; the interval holds the mean."""
    ends = zip(belief.mean.tolist(), belief.interval().tolist(), strict=True)
    return [Interval(mean, min(low, mean), max(high, mean)) for mean, (low, high) in ends]


def is_countable(drawn: Sequence[Draws]) -> bool:
    """Whether all answers are right or wrong, and none in part."""
    return all(value in (0.0, 1.0) for one in drawn for value in one.right)


def _single_score(drawn: Sequence[Draws]) -> Beta:
    """The belief about the score of one answer, each question counted once."""
    right = math.fsum(math.fsum(one.right) / one.count for one in drawn)
    return Beta(1.0 + right, 1.0 + len(drawn) - right)


def _ahead(belief: Belief, other: Belief) -> list[float]:
    """The probability that each quantity exceeds the other belief's only one."""
    rng = np.random.default_rng(0)
    more = belief.sample(rng, _DRAWS) > other.sample(rng, _DRAWS)
    return [float(share) for share in more.mean(axis=0)]

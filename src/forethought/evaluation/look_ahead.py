"""Coverage and vote accuracy of more answers than drawn, as beliefs with 90 % intervals."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import cache

import numpy as np

from forethought.beliefs.difficulty import DifficultyBank, prior_driven
from forethought.beliefs.success import Beta
from forethought.beliefs.votes import VoteBank
from forethought.contracts.beliefs import AnswerGroups, Belief
from forethought.contracts.comparison import Interval
from forethought.contracts.errors import UsageError
from forethought.contracts.forecast import Economics, Further, Rival
from forethought.evaluation.draws import Draws
from forethought.numerics.equal_cost import UnitCost

MOST_ANSWERS = 100_000
_DRAWS = 4000


@cache
def difficulty_bank() -> DifficultyBank:
    """The bank of simulated worlds; made once in a process, in about a second."""
    return DifficultyBank.simulated(())


def further_answers(most: int, up_to: int) -> list[int]:
    """Powers of two above `most` and below `up_to`, then `up_to`; none if it is not above."""
    if not 1 <= up_to <= MOST_ANSWERS:
        raise UsageError(
            f"{up_to} answers are no number to forecast",
            f"give a number from 1 to {MOST_ANSWERS:,}",
        )
    if up_to <= most:
        return []
    powers = (1 << place for place in range(up_to.bit_length()))
    return sorted({k for k in powers if most < k < up_to} | {up_to})


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


def look_ahead(
    drawn: Sequence[Draws], at: Sequence[int], tokens: UnitCost, flops: UnitCost
) -> tuple[Further, ...]:
    """The beliefs at each number of answers; `drawn` has answers that are right or wrong."""
    if not at:
        return ()
    seen = answer_groups(drawn)
    bank = difficulty_bank()
    coverage = intervals(bank.posterior(seen.counts).coverage(at))
    votes = intervals(VoteBank(bank, tuple(at)).condition(seen))
    return tuple(
        Further(k, oracle, vote, prior_driven(k, seen.counts), tokens.of(k), flops.of(k))
        for k, oracle, vote in zip(at, coverage, votes, strict=True)
    )


def surprise(drawn: Sequence[Draws]) -> float:
    """The probability of counts as untypical of the prior's worlds as these."""
    return difficulty_bank().posterior(answer_groups(drawn).counts).surprise()


def economics(
    cheaper: tuple[str, Sequence[Draws]],
    dearer: tuple[str, Sequence[Draws]],
    task: str,
    at: Sequence[int],
    costs: tuple[UnitCost, UnitCost],
) -> Economics:
    """The cheaper recipe with k answers beside the dearer one with one answer.

    Both answered the same questions. The belief about the dearer score counts each question once,
    and the two beliefs are independent, so the probabilities err towards one half.
    """
    seen = answer_groups(cheaper[1])
    one = _single_score(dearer[1])
    bank = difficulty_bank()
    coverage = bank.posterior(seen.counts).coverage(at)
    votes = VoteBank(bank, tuple(at)).condition(seen)
    rivals = tuple(
        Rival(k, vote, ahead, oracle, oracle_ahead, costs[0].of(k), prior_driven(k, seen.counts))
        for k, vote, ahead, oracle, oracle_ahead in zip(
            at, intervals(votes), _ahead(votes, one), intervals(coverage), _ahead(coverage, one),
            strict=True,
        )
    )  # fmt: skip
    return Economics(
        cheaper[0], dearer[0], task, len(dearer[1]), intervals(one)[0], costs[1].of(1), rivals
    )


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

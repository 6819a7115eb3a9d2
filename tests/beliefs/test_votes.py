"""Vote accuracy of more samples, against enumeration and simulated questions."""

from __future__ import annotations

from itertools import pairwise
from math import lgamma

import numpy as np
import pytest

from forethought.beliefs.difficulty import DifficultyBank
from forethought.beliefs.votes import VoteBank, ewens, theta_laws, thetas, vote_credit
from forethought.contracts.beliefs import AnswerGroups
from tests.beliefs.worlds_by_hand import own_prior

AT = (8, 64)
BANK = DifficultyBank.simulated(AT, worlds=1500)


def seated(theta: float, groups: list[int]) -> float:
    """The probability of seating customers one by one at these tables, in this order."""
    found, count = 1.0, 0
    for size in groups:
        for seat in range(size):
            found *= (theta if seat == 0 else seat) / (theta + count)
            count += 1
    return found


@pytest.mark.parametrize("groups", [[], [1], [3], [2, 1], [4, 2, 2, 1]])
def test_groups_have_the_probability_of_the_restaurant(groups: list[int]) -> None:
    found = ewens(groups, thetas())

    assert found == pytest.approx([seated(float(theta), groups) for theta in thetas()], rel=1e-9)
    assert lgamma(1) == 0


@pytest.mark.parametrize(
    ("votes", "credit"),
    [
        ([3, 1, 2, 0], 1.0),
        ([2, 2, 0, 1], 1 / 2),
        ([2, 2, 2, 0], 1 / 3),
        ([1, 3, 0, 0], 0.0),
        ([1, 0, 1, 2], 1 / 4),  # three others of one vote each
        ([1, 0, 0, 3], 1 / 4),
        ([0, 0, 0, 1], 0.0),
    ],
)
def test_ties_share_the_credit(votes: list[int], credit: float) -> None:
    assert vote_credit(np.array([votes]))[0] == pytest.approx(credit)


def test_a_rival_that_always_agrees_beats_a_weak_right_answer() -> None:
    split = VoteBank(BANK, AT).condition(AnswerGroups((3,) * 20, ((5,),) * 20))
    spread = VoteBank(BANK, AT).condition(AnswerGroups((3,) * 20, ((1,) * 5,) * 20))

    # Three of eight right: the vote loses against one rival, and wins against many.
    assert split.mean[1] < 0.25
    assert spread.mean[1] > 0.85
    assert spread.mean[0] < spread.mean[1]


def test_the_order_of_numbers_makes_no_difference() -> None:
    seen = AnswerGroups((3, 1), ((1,), (2, 1)))
    up, down = (VoteBank(BANK, at).condition(seen) for at in (AT, AT[::-1]))

    assert up.mean == pytest.approx(down.mean[::-1])


@pytest.mark.slow
def test_intervals_hold_the_accuracy_of_simulated_questions() -> None:
    laws, inside = theta_laws(np.random.default_rng(5).random((200, 2))), []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        success, law = own_prior(rng, 30), laws[rng.integers(200)]
        right, wrong, truth = [], [], np.zeros(len(AT))
        for rate in success:
            sticks = rng.beta(1, rng.choice(thetas(), p=law), 80)
            shares = sticks * np.concatenate(([1.0], np.cumprod(1 - sticks)[:-1]))
            chances = np.array([rate, *(1 - rate) * shares, (1 - rate) * np.prod(1 - sticks)])
            seen = rng.multinomial(8, chances / chances.sum())
            right.append(int(seen[0]))
            wrong.append((*[int(size) for size in seen[1:-1] if size], *[1] * int(seen[-1])))
            for place, k in enumerate(AT):
                votes = rng.multinomial(k, chances / chances.sum(), size=200)
                truth[place] += vote_credit(votes).mean() / 30
        low, high = (
            VoteBank(BANK, AT).condition(AnswerGroups(tuple(right), tuple(wrong))).interval().T
        )
        inside.append((low <= truth) & (truth <= high))

    # 100 worlds: a standard error of 0.03.
    assert (np.mean(inside, axis=0) > 0.8).all()
    assert all(earlier < later for earlier, later in pairwise(AT))

"""What the best by score and what a vote reaches, against all subsets one by one."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forethought.contracts.errors import UsageError
from forethought.numerics.coverage import pass_at_k
from forethought.numerics.selection import best_of_k, vote_of_k

points = st.sampled_from([0.0, 0.5, 1.0])


@st.composite
def scored(draw):
    pairs = draw(st.lists(st.tuples(st.integers(0, 4), points), min_size=1, max_size=8))
    return [score for score, _ in pairs], [value for _, value in pairs]


@st.composite
def grouped(draw):
    of = {group: draw(points) for group in (None, 0, 1, 2, 3)}
    groups = draw(st.lists(st.sampled_from(list(of)), min_size=1, max_size=9))
    return groups, [of[group] for group in groups]


def by_score(scores, right, places):
    best = max(scores[place] for place in places)
    return np.mean([right[place] for place in places if scores[place] == best])


def by_vote(groups, right, places):
    votes = Counter(groups[place] for place in places if groups[place] is not None)
    most = max(votes.values(), default=0)
    winners = [group for group, count in votes.items() if count == most] or [None]
    value = dict(zip(groups, right, strict=True))
    return np.mean([value[group] for group in winners])


@given(scored())
def test_the_best_of_k_is_the_mean_over_all_subsets(drawn):
    scores, right = drawn
    for k in range(1, len(scores) + 1):
        every = [by_score(scores, right, one) for one in combinations(range(len(scores)), k)]
        assert best_of_k(scores, right, k) == pytest.approx(np.mean(every), abs=1e-12)


@settings(deadline=None)
@given(grouped())
def test_the_vote_of_k_is_the_mean_over_all_subsets(drawn):
    groups, right = drawn
    for k in range(1, len(groups) + 1):
        every = [by_vote(groups, right, one) for one in combinations(range(len(groups)), k)]
        assert vote_of_k(groups, right, k) == pytest.approx(np.mean(every), abs=1e-12)


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_a_perfect_score_reaches_coverage(right):
    for k in {1, (len(right) + 1) // 2, len(right)}:
        reached = best_of_k([float(one) for one in right], right, k)
        assert reached == pytest.approx(pass_at_k(len(right), sum(right), k), abs=1e-12)


@given(scored())
def test_one_sample_is_right_on_average_however_it_is_chosen(drawn):
    scores, right = drawn
    constant = [0.3] * len(right)

    assert best_of_k(scores, right, 1) == pytest.approx(np.mean(right))
    assert best_of_k(constant, right, len(right)) == pytest.approx(np.mean(right))
    assert vote_of_k(list(range(len(right))), right, 1) == pytest.approx(np.mean(right))
    assert vote_of_k(list(range(len(right))), right, len(right)) == pytest.approx(np.mean(right))


@given(scored(), st.randoms())
def test_order_and_rising_functions_of_the_scores_change_nothing(drawn, random):
    scores, right = drawn
    order = random.sample(range(len(scores)), len(scores))
    again = [math.exp(scores[place]) - 5 for place in order], [right[place] for place in order]

    for k in range(1, len(scores) + 1):
        assert best_of_k(scores, right, k) == pytest.approx(best_of_k(*again, k))


def test_a_better_sample_never_lowers_the_best():
    scores, right = [0.1, 0.4, 0.4, 0.9], [0, 0, 1, 1]
    curve = [best_of_k(scores, right, k) for k in range(1, 5)]

    assert curve == sorted(curve)
    assert curve[-1] == 1


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=10))
def test_a_vote_is_between_the_worst_and_the_best_of_its_samples(groups):
    right = [float(group == 0) for group in groups]
    for k in range(1, len(groups) + 1):
        most, least = (pass_at_k(len(groups), c, k) for c in (sum(right), len(right) - sum(right)))
        assert 1 - least - 1e-9 <= vote_of_k(groups, right, k) <= most + 1e-9


def test_votes_of_many_samples_agree_with_drawn_ones():
    rng = np.random.default_rng(4)
    groups = rng.choice(5, p=[0.3, 0.28, 0.2, 0.12, 0.1], size=200)
    right = (groups == 1).astype(float)
    exact = vote_of_k(groups.tolist(), right.tolist(), 40)
    drawn = []
    for _ in range(6000):
        votes = np.bincount(rng.permutation(groups)[:40], minlength=5)
        drawn.append((votes[1] == votes.max()) / (votes == votes.max()).sum())

    # Four standard errors.
    assert exact == pytest.approx(np.mean(drawn), abs=0.026)
    assert 0.05 < exact < 0.95


def test_all_answers_as_likely_as_each_other_win_as_often():
    groups = [place // 10 for place in range(120)]
    for k in (1, 2, 7, 60, 119, 120):
        assert vote_of_k(groups, [float(one == 3) for one in groups], k) == pytest.approx(1 / 12)


def test_more_votes_help_the_likeliest_answer_and_no_other():
    groups = [0] * 30 + [1] * 20 + [2] * 10
    first, second = ([float(one == group) for one in groups] for group in (0, 1))
    rising = [vote_of_k(groups, first, k) for k in (1, 3, 9, 27, 60)]
    falling = [vote_of_k(groups, second, k) for k in (1, 9, 27, 60)]

    assert rising == sorted(rising)
    assert rising[-1] == 1
    assert falling == sorted(falling, reverse=True)
    assert falling[-1] == 0


def test_what_says_nothing_has_no_vote_but_where_nothing_else_is_said():
    assert vote_of_k([None, None, 0], [0, 0, 1], 2) == pytest.approx(2 / 3)
    assert vote_of_k([None, None, 0], [1, 1, 0], 2) == pytest.approx(1 / 3)
    assert vote_of_k([None, None], [1, 0], 2) == pytest.approx(0.5)


@pytest.mark.parametrize("k", [0, 4])
def test_k_beyond_the_samples_is_refused(k):
    for reached in (best_of_k, vote_of_k):
        with pytest.raises(UsageError, match="3 samples with 3 judged"):
            reached([1, 2, 3], [0, 0, 1], k)
        with pytest.raises(UsageError, match="with 2 judged"):
            reached([1, 2, 3], [0, 0], 1)


def test_a_score_that_is_no_number_is_refused():
    with pytest.raises(UsageError, match="no rank"):
        best_of_k([0.1, math.nan], [0, 1], 1)

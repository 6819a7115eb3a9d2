"""Resampling behind imperfect verifiers: the published figures, brute force and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.contracts.errors import UsageError
from forethought.numerics.verifiers import Kind, Resampling, Verifier

KINDS = (Kind(0.58, 0.87), Kind(0.42, 0.13))
WEAK = Verifier(1.0, 0.75)

share = st.floats(0.02, 0.98)


def resampling(penalty=1.0, price=0.0, kinds=KINDS, verifier=WEAK):
    return Resampling(kinds, verifier, penalty, price)


@st.composite
def any_resampling(draw):
    parts = draw(st.lists(st.floats(0.1, 1), min_size=1, max_size=4))
    kinds = tuple(Kind(part / sum(parts), draw(share)) for part in parts)
    verifier = Verifier(draw(share), draw(share))
    return Resampling(kinds, verifier, draw(st.floats(0, 4)), draw(st.sampled_from([0, 0.05])))


@pytest.mark.parametrize(
    ("penalty", "best", "reward"), [(0.7, 3, 0.525), (1.0, 2, 0.472), (2.0, 1, 0.339)]
)
def test_the_optimum_of_the_published_example(penalty, best, reward):
    assert resampling(penalty).best() == best
    assert resampling(penalty).reward(best) == pytest.approx(reward, abs=5e-4)


def test_every_attempt_is_weighted_by_the_shares_of_all_tasks():
    # Weighting by who is left, once more than is due, would give -0.08.
    assert resampling(2.0).reward(math.inf) == pytest.approx(0.149, abs=5e-4)


def test_a_sound_verifier_gains_with_every_attempt_up_to_coverage():
    sound = resampling(8.0, verifier=Verifier(0.6, 1.0))
    rewards = [sound.reward(k) for k in range(30)]
    assert rewards == sorted(rewards)
    assert sound.reward(math.inf) == pytest.approx(1.0)
    assert sound.best() == math.inf
    exact = resampling(verifier=Verifier(1.0, 1.0))
    coverage = sum(kind.share * (1 - (1 - kind.success) ** 5) for kind in KINDS)
    assert exact.reward(5) == pytest.approx(coverage)


def test_without_a_penalty_more_attempts_are_never_worse():
    rewards = [resampling(0.0).reward(k) for k in range(40)]
    assert rewards == sorted(rewards)


@pytest.mark.parametrize(("success", "best"), [(0.4, math.inf), (0.1, 0)])
def test_tasks_of_one_kind_are_tried_always_or_never(success, best):
    assert resampling(kinds=(Kind(1.0, success),), penalty=1.0).best() == best


def test_a_price_ends_what_cannot_succeed():
    hopeless = resampling(
        0.0, 0.01, kinds=(Kind(0.5, 0.5), Kind(0.5, 0.0)), verifier=Verifier(1, 1)
    )
    assert hopeless.reward(math.inf) == -math.inf
    assert 1 < hopeless.best() < 10
    assert resampling(0.0, 0.0, hopeless.kinds, hopeless.verifier).best() == math.inf


def test_a_verifier_that_accepts_all_makes_one_attempt_or_none():
    all_accepted = Verifier(1.0, 0.0)
    assert resampling(0.5, verifier=all_accepted).best() == 1
    assert resampling(5.0, verifier=all_accepted).best() == 0
    assert resampling(0.5, verifier=all_accepted).tries(9) == 1


@given(any_resampling(), st.integers(1, 30))
def test_what_can_happen_sums_to_one(found, attempts):
    whole = found.right(attempts) + found.wrong(attempts) + found.nothing(attempts)
    assert whole == pytest.approx(1.0)


@given(any_resampling())
def test_no_number_of_attempts_is_better_than_the_best(found):
    best = found.best()
    tried = [found.reward(k) for k in [*range(200), 1000, math.inf]]
    assert found.reward(best) >= max(tried) - 1e-12
    if math.isfinite(best):
        assert best == int(best)
        fewer = range(min(int(best), 200))
        assert all(found.reward(k) < found.reward(best) + 1e-15 for k in fewer)


def test_a_verifier_that_is_hardly_worse_than_chance_has_an_optimum_far_out() -> None:
    found = resampling(0.9, verifier=Verifier(0.5, 0.5 + 1e-13), kinds=KINDS)
    assert 1e9 < found.best() < math.inf


@given(any_resampling())
def test_later_acceptances_are_less_often_right_where_the_verifier_is_better_than_chance(found):
    shown = [found.accuracy(attempt) for attempt in range(1, 12)]
    sign = found.verifier.completeness - (1 - found.verifier.soundness)
    falls = np.diff(shown) * (1 if sign >= 0 else -1)
    assert (falls <= 1e-9).all()


def test_the_accuracy_of_one_kind_does_not_depend_on_the_attempt():
    one = resampling(kinds=(Kind(1.0, 0.3),), verifier=Verifier(0.8, 0.75))
    expected = 0.24 / (0.24 + 0.175)
    assert [one.accuracy(k) for k in (1, 4, 9)] == pytest.approx([expected] * 3)
    assert math.isnan(resampling(kinds=(Kind(1.0, 0.0),), verifier=Verifier(1, 1)).accuracy(1))


def test_the_formulas_are_what_a_simulation_gives():
    found, attempts, runs = resampling(verifier=Verifier(0.8, 0.7)), 3, 40_000
    rng = np.random.default_rng(5)
    success = rng.choice([k.success for k in KINDS], runs, p=[k.share for k in KINDS])[:, None]
    right = rng.random((runs, attempts)) < success
    accepted = rng.random((runs, attempts)) < np.where(right, 0.8, 0.3)
    first = accepted.argmax(1)
    taken = accepted.any(1)
    ends_right = taken & right[np.arange(runs), first]

    # Four standard errors.
    assert ends_right.mean() == pytest.approx(found.right(attempts), abs=0.01)
    assert (taken & ~ends_right).mean() == pytest.approx(found.wrong(attempts), abs=0.01)
    assert (~taken).mean() == pytest.approx(found.nothing(attempts), abs=0.01)
    tries = np.where(taken, first + 1, attempts)
    assert tries.mean() == pytest.approx(found.tries(attempts), abs=0.02)
    second = taken & (first == 1)
    assert ends_right[second].mean() == pytest.approx(found.accuracy(2), abs=0.03)


def test_rates_are_read_from_verdicts_beside_the_truth():
    accepted = [True, True, False, True, False, False, False]
    right = [True, True, True, False, False, False, False]
    found = Verifier.of(accepted, right)
    assert (found.completeness, found.soundness) == pytest.approx((2 / 3, 3 / 4))


@pytest.mark.parametrize("right", [[True, True], [False, False], []])
def test_rates_that_nothing_was_seen_of_are_an_error(right):
    with pytest.raises(UsageError, match="do not determine its rates"):
        Verifier.of(right, right)

"""Samples for a budget, against counting one by one."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.contracts.errors import UsageError
from forethought.numerics.equal_cost import Arm, UnitCost, at_equal_cost, exchange

cost = st.floats(0.01, 50)


def test_a_shared_prompt_is_paid_once():
    assert UnitCost.tokens(100, 20).of(3) == 160
    assert UnitCost.tokens(100, 20, shared=False).of(3) == 360
    assert UnitCost.tokens(100, 20).flops(1e9).of(3) == 2 * 1e9 * 160


@given(cost, cost, st.floats(0, 500))
def test_a_budget_buys_the_most_samples_that_it_covers(once, each, budget):
    price = UnitCost(once, each)
    k = price.within(budget)

    assert k == 0 or price.of(k) <= budget
    assert price.of(k + 1) > budget


@given(cost, cost, st.integers(1, 200))
def test_the_price_of_k_samples_buys_k(once, each, k):
    assert UnitCost(once, each).within(UnitCost(once, each).of(k)) == k


def test_arms_are_compared_where_they_cost_as_much():
    small = Arm.of((0.2, 0.3, 0.4, 0.5), UnitCost.tokens(10, 10).flops(1))
    large = Arm.of((0.35, 0.6), UnitCost.tokens(10, 10).flops(2))

    first, second = at_equal_cost([small, large], [100, 1000])

    assert [one.samples for one in first] == [4, 4]
    assert [one.samples for one in second] == [1, 2]
    assert [one.reached for one in first + second] == [0.5, 0.5, 0.35, 0.6]
    assert [one.cost for one in first + second] == [100, 100, 80, 120]


def test_a_budget_for_no_sample_reaches_nothing():
    (spent,) = at_equal_cost([Arm.of((0.2,), UnitCost(10, 10))], [19])[0]

    assert (spent.samples, spent.reached, spent.cost) == (0, None, 0.0)


def test_the_exchange_for_a_larger_model():
    assert exchange(1, 0.16) == 1
    assert exchange(14, 0.79) == pytest.approx(14 + 3 / 0.79 * 13)
    assert exchange(14, math.inf) == 14
    # Both sides spend as much: training 6 N D, inference 2 N D.
    parameters, trained, inferred = 3.0, 50.0, 40.0
    more = exchange(4, inferred / trained)
    small = 6 * parameters * trained + 2 * parameters * inferred * more
    large = 4 * (6 * parameters * trained + 2 * parameters * inferred)
    assert small == pytest.approx(large)


def test_nothing_is_exchanged_for_no_inference():
    with pytest.raises(UsageError, match="is not above 0"):
        exchange(2, 0)

"""Cost-of-pass: the published invariants, and intervals that hold what they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from forethought.contracts.errors import BadDataError
from forethought.cost.cost_of_pass import (
    ScoredRuns,
    essentialness,
    frontier,
    frontier_spread,
    posterior,
    spread,
    value_of,
)


def attempts(right: int, runs: int, cost: float = 0.01) -> ScoredRuns:
    return ScoredRuns((cost,) * runs, (1.0,) * right + (0.0,) * (runs - right))


def test_a_right_answer_costs_the_mean_cost_over_the_mean_score() -> None:
    assert ScoredRuns((1.0, 2.0, 3.0, 2.0), (1, 0, 0, 1)).cost_of_pass == 4.0
    assert attempts(8, 8, 0.25).cost_of_pass == 0.25
    assert math.isinf(attempts(0, 8).cost_of_pass)


def test_the_frontier_takes_the_cheapest_way_of_each_problem_and_a_human() -> None:
    ways = {"small": [1.0, math.inf, 9.0], "large": [4.0, 6.0, 8.0]}

    assert frontier(ways) == [1.0, 6.0, 8.0]
    assert frontier(ways, 5.0) == [1.0, 5.0, 5.0]
    assert value_of(frontier(ways, 5.0)) == pytest.approx(11 / 3)
    with pytest.raises(BadDataError, match="1 of 3 problems were never solved"):
        value_of(ways["small"])


def test_essentialness_is_what_the_others_lose() -> None:
    ways = {"small": [1.0, math.inf], "large": [4.0, 6.0]}

    # Without the small model (4 + 6) / 2, with it (1 + 6) / 2.
    assert essentialness(ways, ["small"], 20.0) == pytest.approx((5.0 - 3.5) / 5.0)
    assert essentialness(ways, ["small", "large"], 20.0) == pytest.approx((20.0 - 3.5) / 20.0)
    assert essentialness({**ways, "useless": [50.0, 50.0]}, ["useless"], 20.0) == 0.0
    assert essentialness(ways, ["large"]) == 1.0  # nobody else solves the second problem
    assert essentialness(ways, ["small"]) == pytest.approx((5.0 - 3.5) / 5.0)
    assert essentialness({"free": [0.0]}, ["free"], 0.0) == 0.0
    with pytest.raises(BadDataError, match="never solved"):
        essentialness({"small": [math.inf]}, ["small"])


def test_adding_a_way_never_raises_the_frontier_and_prices_scale_it() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        ways = {str(n): list(rng.uniform(0.1, 9, 5)) for n in range(3)}
        more = {**ways, "new": list(rng.uniform(0.1, 9, 5))}
        scaled = {name: [3 * cost for cost in costs] for name, costs in ways.items()}
        assert value_of(frontier(more, 4.0)) <= value_of(frontier(ways, 4.0))
        assert value_of(frontier(scaled, 12.0)) == pytest.approx(3 * value_of(frontier(ways, 4.0)))


def test_the_posterior_of_a_constant_cost_is_jeffreys() -> None:
    draws = posterior(attempts(5, 8, 0.02), np.random.default_rng(0), 200_000)

    # The success rate is Beta(5.5, 3.5): its mean is 5.5 / 9; one standard error is 0.0004.
    assert np.mean(0.02 / draws) == pytest.approx(5.5 / 9, abs=0.002)


def test_intervals_cover_the_true_cost_and_shrink_with_runs() -> None:
    rng = np.random.default_rng(2)
    covered, widths = {}, {}
    for runs in (8, 64):
        found = []
        for _ in range(300):
            rate = rng.uniform(0.2, 0.9)
            costs = rng.gamma(4.0, 0.25, runs)  # of mean 1
            scores = (rng.random(runs) < rate).astype(float)
            one = spread(ScoredRuns(tuple(costs), tuple(scores)), rng, draws=400)
            found.append((one.low <= 1.0 / rate <= one.high, one.high / one.low))
        covered[runs] = np.mean([hit for hit, _ in found])
        widths[runs] = np.median([width for _, width in found])

    assert 0.9 < covered[8] <= 1.0  # 95 %, with 1.3 points of standard error
    assert 0.9 < covered[64] <= 1.0
    assert widths[64] < 0.5 * widths[8]


def test_the_price_of_the_frontier_is_not_that_of_lucky_ways() -> None:
    rng = np.random.default_rng(3)
    plain, split, covered = [], [], []
    for _ in range(100):  # five equal ways; a right answer truly costs 2
        ways = {
            str(n): [ScoredRuns((1.0,) * 16, tuple((rng.random(16) < 0.5).astype(float)))]
            for n in range(5)
        }
        ratios = {name: [own[0].cost_of_pass] for name, own in ways.items()}
        found = frontier_spread(ways, None, rng, draws=300)
        plain.append(frontier(ratios)[0])
        split.append(found.value)
        covered.append(found.low <= 2.0 <= found.high)

    assert np.mean(plain) < 1.65  # the winner's curse
    # The standard error of the mean is 0.02.
    assert np.mean(split) == pytest.approx(2.0, abs=0.15)
    assert np.mean(covered) > 0.9


def test_a_human_bounds_every_draw() -> None:
    ways = {"never right": [attempts(0, 4)], "dear": [attempts(4, 4, 9.0)]}

    found = frontier_spread(ways, 3.5, np.random.default_rng(0), draws=500)

    assert found.high <= 3.5
    assert found.low <= found.value


@pytest.mark.parametrize(("costs", "scores"), [((), ()), ((1.0,), (1.0, 0.0))])
def test_runs_without_costs_or_scores_are_refused(costs, scores) -> None:
    with pytest.raises(BadDataError):
        ScoredRuns(costs, scores)

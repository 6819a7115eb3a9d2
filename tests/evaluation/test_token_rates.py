"""What answers cost one by one, against rates that are known."""

from __future__ import annotations

import pytest

from forethought.evaluation.token_rates import CostShares, TokenRates, all_tokens
from tests.evaluation.stored import READ, SCORING, WRITE, candidate, plain, searched


def test_rates_that_runs_tell_apart_are_found() -> None:
    runs = [
        searched("a", [candidate(0, "x")] * 3, scoring=20).run,
        searched("b", [candidate(0, "x")] * 2, scoring=70).run,
        plain("c", "x", 1.0).run,
    ]

    rates = TokenRates.of(runs)

    assert rates.prompt == pytest.approx(READ)
    assert rates.output == pytest.approx(WRITE)
    assert rates.scoring == pytest.approx(SCORING)


def test_what_runs_do_not_tell_apart_costs_alike() -> None:
    run = {"cost": {"prompt_tokens": 30, "output_tokens": 10, "flops": 120.0}}

    rates = TokenRates.of([run])

    assert (rates.prompt, rates.output) == pytest.approx((3.0, 3.0))


def test_the_parts_of_a_cost_sum_to_it() -> None:
    cost = {"prompt_tokens": 7, "output_tokens": 5, "scoring_tokens": 2, "draft_tokens": 3,
            "flops": 1000.0}  # fmt: skip

    parts = TokenRates(1.0, 2.0, 3.0, 4.0).shares(cost)

    assert parts.once + parts.answers + parts.scoring == pytest.approx(1000.0)
    assert parts.once / parts.answers == pytest.approx((7 * 1 + 3 * 4) / (5 * 2))
    assert parts.scoring / parts.answers == pytest.approx(6 / 10)
    assert CostShares.of_tokens(cost) == CostShares(10, 5, 2)
    assert all_tokens(cost) == 17


def test_a_server_that_tells_no_flops_costs_none() -> None:
    cost = {"prompt_tokens": 7, "output_tokens": 5, "flops": 0.0}

    parts = TokenRates.of([{"cost": cost}]).shares(cost)

    assert (parts.once, parts.answers, parts.scoring) == (0.0, 0.0, 0.0)

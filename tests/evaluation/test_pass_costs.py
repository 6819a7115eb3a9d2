"""Cost-of-pass from a results file."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from forethought.cli.main import exit_code
from forethought.contracts.errors import UsageError
from forethought.cost.hardware import TABLE
from forethought.cost.hourly_prices import HourlyPrice
from forethought.cost.precision import Precision
from forethought.cost.roofline import Machine
from forethought.evaluation.pass_costs import RunPrice, pass_costs
from forethought.recipes.recipe import Recipe
from forethought.storage.store import Store
from tests.evaluation.stored import plain

TASK = "addition"
PRICE = RunPrice(Machine(TABLE["h100"], Precision()), HourlyPrice(3600.0, "stated", "now"))
"""A dollar a second."""


def sample(question: str, number: int, score: float, recipe: str = "smollm2", **cost: float):
    made = plain(question, "x", score, recipe=recipe, task=TASK, number=number)
    run = made.run | {"cost": made.run["cost"] | {"usd": None, **cost}}
    return replace(made, run=run)


def stored(tmp_path, samples):
    file = tmp_path / "results.sqlite"
    with Store.open(file) as store:
        for one in samples:
            store.put(one)
    return file


def two_ways(tmp_path):
    """smollm2 costs 1 and is right on the first question; the search costs 4, right on both."""
    samples = []
    for number in range(4):
        samples += [
            sample("a", number, 1.0, usd=1.0),
            sample("b", number, 0.0, usd=1.0),
            sample("a", number, 1.0, "smollm2@best-of-n@likelihood", usd=4.0),
            sample("b", number, float(number % 2), "smollm2@best-of-n@likelihood", usd=4.0),
        ]
    return stored(tmp_path, samples)


def test_a_right_answer_costs_all_dollars_over_all_right_answers(tmp_path) -> None:
    found = pass_costs([], [TASK], Recipe(), PRICE, results=two_ways(tmp_path))

    small, search = sorted(found.rows, key=lambda row: row.usd)
    assert (small.score, small.solved, small.runs) == (0.5, 1, 8)
    assert small.pass_usd.value == pytest.approx(8 / 4)
    assert search.pass_usd.value == pytest.approx(32 / 6)
    assert small.pass_usd.low <= small.pass_usd.value


def test_the_frontier_takes_each_problems_cheapest_way(tmp_path) -> None:
    file = two_ways(tmp_path)

    free = pass_costs([], [TASK], Recipe(), PRICE, results=file).frontiers[0]
    bounded = pass_costs([], [TASK], Recipe(), PRICE, results=file, human=5.0).frontiers[0]

    assert free.value == pytest.approx((1.0 + 8.0) / 2)
    assert free.leads == {"smollm2": 1, "smollm2@best-of-n@likelihood": 1}
    assert bounded.value == pytest.approx((1.0 + 5.0) / 2)
    assert bounded.leads == {"smollm2": 1, "human": 1}
    assert bounded.split is not None
    assert bounded.split.high <= (1.0 + 5.0)
    # Without smollm2 (4 + 8) / 2 and (4 + 5) / 2; without the search nobody solves b, or a human.
    assert list(free.essential.values()) == pytest.approx([1 - 4.5 / 6.0, 1.0])
    assert list(bounded.essential.values()) == pytest.approx([1 - 3.0 / 4.5, 0.0])


def test_runs_without_dollars_are_priced_by_the_roofline(tmp_path) -> None:
    file = stored(tmp_path, [
        sample("a", number, 1.0, flops=989.5e12, bytes_moved=3350e9 * (1 + number))
        for number in range(2)
    ])  # fmt: skip

    found = pass_costs([], [TASK], Recipe(), PRICE, results=file)

    assert found.rows[0].usd == pytest.approx(1.5)  # one second, and two
    assert found.rows[0].pass_joules == pytest.approx(3 * 700 / 2)


def test_energy_is_per_right_answer_and_unknown_without_power(tmp_path) -> None:
    scores = [1.0, 0.0, 0.0, 0.0]
    one_second = {"flops": 0.0, "bytes_moved": 3350e9}
    file = stored(tmp_path, [sample("a", n, score, **one_second) for n, score in enumerate(scores)])
    dark = RunPrice(Machine(replace(TABLE["h100"], watts=0.0), Precision()), PRICE.price)

    known, unknown = (
        pass_costs([], [TASK], Recipe(), price, results=file).rows[0] for price in (PRICE, dark)
    )

    assert known.pass_joules == pytest.approx(4 * 700)
    assert unknown.pass_joules is None


def test_the_energy_of_a_server_is_unknown(tmp_path) -> None:
    found = pass_costs([], [TASK], Recipe(), PRICE, results=two_ways(tmp_path))

    assert [row.pass_joules for row in found.rows] == [None, None]


def test_a_recipe_that_is_never_right_has_no_price(tmp_path) -> None:
    file = stored(tmp_path, [sample(q, n, 0.0, usd=1.0) for q in "abc" for n in range(2)])

    found = pass_costs([], [TASK], Recipe(), PRICE, results=file).document()

    assert found["rows"][0]["pass_usd"]["value"] is None
    assert found["frontiers"][0]["value"] is None
    assert found["frontiers"][0]["leads"] == {"nobody": 3}


def test_missing_answers_and_prices_are_told(tmp_path) -> None:
    with pytest.raises(UsageError) as missing:
        pass_costs([], [TASK], Recipe(), PRICE, results=tmp_path / "none.sqlite")
    assert "forethought evaluate" in missing.value.hint
    file = stored(tmp_path, [sample("a", 0, 1.0)])
    with pytest.raises(UsageError, match="no price"):
        pass_costs([], [TASK], Recipe(), RunPrice(None, None), results=file)


def test_the_verb_prints_a_table_and_a_document(tmp_path, capsys) -> None:
    line = ["cost", "-t", TASK, "--on", "h100", "--results", str(two_ways(tmp_path))]

    assert exit_code(line) == 0
    text = capsys.readouterr().out
    assert exit_code([*line, "--json", "--human", "5"]) == 0
    found = json.loads(capsys.readouterr().out)

    assert "1 of 2" in text
    assert "$5.33" in text
    assert "saved by each: smollm2 25 %" in text
    assert found["frontiers"][0]["value"] == pytest.approx(3.0)


def test_options_for_stored_answers_need_a_task(capsys) -> None:
    assert exit_code(["cost", "--on", "h100", "--human", "3"]) == 2
    assert "no task is named" in capsys.readouterr().err

"""Predicted seconds: the roofline's without timings, and what was measured with them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forethought.cost.precision import precision
from forethought.cost.roofline import Machine
from forethought.recipes.recipe import Recipe
from forethought.sessions.cost_estimate import estimate
from forethought.sessions.cost_stages import CostRequest
from forethought.sessions.stored_evidence import run_timing, stored_timings
from forethought.sessions.time_model import EACH, TimeModel
from tests.sessions.machines import CONFIGS, HERE, shape, timed
from tests.storage.sample_maker import sample

SNAP, HALF = "snapkv(keep=256)", "truncate(keep=0.5)"


def model(timings=(), asked=(), machine=HERE):
    return TimeModel.of(machine, CONFIGS.get, list(timings), list(asked))


@pytest.mark.parametrize(("methods", "rows"), [((), 1), ((SNAP,), 1), ((), 8)])
def test_without_timings_the_roofline_predicts(methods, rows):
    run = shape(methods=methods, rows=rows)
    machine = Machine(HERE.hardware, precision("bf16", here=True))
    recipe = Recipe(model="target", approximate=methods)
    wanted = estimate(recipe, CONFIGS["target"], None, CostRequest(2000, 40, samples=rows), machine)

    found = model(asked=[run]).predict(run)

    assert found.value == pytest.approx(wanted.seconds)
    assert found.low < 0.7 * found.value < 1.4 * found.value < found.high


def test_timings_correct_the_roofline_of_other_runs_too():
    timings = [timed(shape(prompt=n), slower=3.0, decode=1.5) for n in range(1500, 3500, 100)]
    run = shape(prompt=2600)
    first, later = model().roofline.seconds(run)

    found = model(timings, [run]).predict(run)
    other = model(timings, [shape(methods=[HALF])]).predict(shape(methods=[HALF]))

    assert found.value == pytest.approx(3 * first + 1.5 * later, rel=0.03)
    assert found.high - found.low < 0.5 * found.value
    assert other.value > 2 * sum(model().roofline.seconds(shape(methods=[HALF])))


def test_a_slow_method_is_learned_apart():
    timings = [
        timed(shape(prompt=n, methods=methods), slower)
        for n in range(1500, 3500, 100)
        for methods, slower in (((), 1.0), ((HALF,), 2.0))
    ]
    run, exact = shape(methods=[HALF]), shape()
    found = model(timings, [run, exact])

    assert found.predict(run).value == pytest.approx(2 * sum(found.roofline.seconds(run)), rel=0.1)
    assert found.predict(exact).value == pytest.approx(sum(found.roofline.seconds(exact)), rel=0.1)
    assert found.runs_like(run) == 20


def test_the_order_of_timings_and_of_questions_changes_nothing():
    timings = [timed(shape(prompt=n, methods=[HALF]), n / 1000) for n in range(1500, 3500, 100)]
    runs = [shape(), shape(methods=[HALF])]

    one, two = model(timings, runs), model(timings[::-1], runs[::-1])

    assert one.predict(runs[1]).value == pytest.approx(two.predict(runs[1]).value, rel=1e-12)


def test_many_runs_of_one_recipe_or_model_leave_room_for_others():
    usual = [timed(shape(prompt=1500 + n)) for n in range(300)]
    elsewhere = [replace(one, model="same-tokens") for one in usual]
    halves = [timed(shape(prompt=1500 + n, methods=[HALF])) for n in range(9)]

    found = model([*usual, *elsewhere, *halves], [shape()])

    assert found.runs_like(shape()) == EACH
    assert found.runs_like(shape(methods=[HALF])) == 9
    assert found.measured[-1].model == "same-tokens"


def test_a_model_of_unknown_size_has_no_prediction_and_teaches_nothing():
    unknown = replace(shape(), model="elsewhere")
    timing = replace(timed(shape()), model="elsewhere")

    found = model([timing], [unknown])

    assert found.predict(unknown) is None
    assert found.measured == ()


def run_document(recipe="target", stages=None, **changes):
    stages = {"prefill": 1.0, "choose": 0.25, "decode": 2.0} if stages is None else stages
    cost = {"output_tokens": 30, "cached_tokens": 0}
    plain = {"recipe": recipe, "cost": cost, "candidates": [], "settings": {},
             "kept": {"of": 1500}, "timing": {"stages": stages}}  # fmt: skip
    return {**plain, **changes}


def test_a_run_is_timed_by_its_stages():
    found = run_timing(run_document(f"target+{HALF}"), alone=True)

    assert (found.model, found.methods, found.weights) == ("target", (HALF,), "bf16")
    assert (found.prompt, found.output, found.rows) == (1500, 30, 1)
    assert (found.first_token, found.decode) == (1.25, 2.0)
    three = run_timing(run_document(candidates=[{}] * 3), alone=True)
    assert (three.rows, three.output) == (3, 10)
    stated = run_timing(run_document(settings={"weights": "w8a8"}), alone=True)
    assert stated.weights == "w8a8"


@pytest.mark.parametrize(
    "document",
    [
        run_document("target@majority-vote"),
        run_document("'http://127.0.0.1:1/v1#m'"),
        run_document("target+snapvk"),
        run_document(stages={}),
        run_document(cost={"output_tokens": 3, "cached_tokens": 700}),
    ],
)
def test_runs_without_comparable_times_teach_nothing(document):
    assert run_timing(document, alone=True) is None


def test_stored_answers_of_this_machine_give_prefill_times_only():
    made = {"processor": "x", "cores": "2", "threads": "1", "device": "cpu"}
    here = [
        replace(sample(n, recipe="target", run=run_document()), provenance=made)
        for n in range(EACH + 5)
    ]
    there = replace(here[0], key="t", provenance={**made, "threads": "2"})

    found = list(stored_timings([there, *here], "x, 2 cores, 1 threads, cpu"))

    assert len(found) == EACH
    assert {(one.first_token, one.decode, one.alone) for one in found} == {(1.25, 0.0, False)}

"""What `-x auto` chooses: by what was compared, and by the seconds that this machine measured."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from forethought.contracts.errors import BadParameterError, UnknownNameError, UsageError
from forethought.contracts.questions import Sample
from forethought.models.chat.prompt import chat_prompt
from forethought.recipes.recipe import Recipe
from forethought.reports.terminal.panel import panel
from forethought.sessions.ask import ask
from forethought.sessions.auto import EXAMPLE, choose
from forethought.sessions.session import Session, built_methods
from forethought.sessions.this_machine import this_machine
from forethought.storage.location import timings_file
from forethought.storage.store import Store
from forethought.storage.timings import read_timings
from tests.cli.tiny_folder import write_tiny_model
from tests.sessions.machines import BIG, HERE, SMALL, known, shape, timed
from tests.sessions.tiny_session import DOCUMENT, QUESTION

RECIPE = Recipe(model="target", draft="same-tokens", approximate=("auto",), max_tokens=40)
LONG = 2000
HALF, QUARTER, TENTH = (f"truncate(keep={share})" for share in (0.5, 0.25, 0.1))


def samples(scores, recipe="", task="t", length=LONG):
    return [
        Sample(f"{recipe}{task}{n}", f"target{recipe}", task, f"q{n}", f"q{n}", 0, score,
               {"recipe": "target", "kept": {"of": length}, "timing": {}, "cost": {}}, {})
        for n, score in enumerate(scores)
    ]  # fmt: skip


def chosen(*stored, timings=(), length=LONG, recipe=RECIPE, **others):
    return choose(
        recipe, length, "bf16", known(timings, [s for some in stored for s in some], **others)
    )


def test_without_a_comparison_the_run_is_exact():
    choice = chosen()

    assert choice.chosen == "exact"
    assert choice.basis == "roofline"
    assert "no comparison of target with its exact run is stored" in choice.reason
    assert f"forethought compare exact '{EXAMPLE}' -m target" in choice.reason
    assert [one.allowed for one in choice.options] == [True, False]


def test_assumed_rates_give_ratios_and_no_seconds():
    assumed = replace(HERE, hardware=replace(HERE.hardware, title="an assumed processor"))

    choice = choose(RECIPE, LONG, "bf16", known(samples=[], machine=assumed))

    assert re.search(
        rf"{re.escape(EXAMPLE)} takes 0\.\d+ of exact's time, by the roofline", choice.reason
    )
    assert " s exact" in chosen().reason


def test_a_short_prompt_is_read_as_it_is():
    stored = samples([1] * 40), samples([1] * 40, f"+{HALF}")

    assert chosen(*stored, length=900).chosen == "exact"


def test_of_what_loses_little_the_fastest_is_chosen():
    choice = chosen(
        samples([1] * 40),
        samples([1] * 40, f"+{HALF}"),
        samples([1] * 40, f"+{QUARTER}"),
        samples([1, 0] * 20, f"+{TENTH}"),
    )

    assert choice.chosen == QUARTER
    assert "by the roofline alone (a data sheet)" in choice.reason
    assert "+0.0 points beside exact on 40 stored questions" in choice.reason
    exact, *others = choice.options
    assert {one.name: one.allowed for one in others} == {HALF: True, QUARTER: True, TENTH: False}
    assert all(one.seconds.value < exact.seconds.value for one in others)
    assert json.dumps(choice.document())


def test_measured_seconds_overrule_the_roofline():
    stored = samples([1] * 40), samples([1] * 40, f"+{HALF}"), samples([1] * 40, "+snapkv(keep=64)")
    slow = [timed(shape(prompt=n, methods=[HALF]), 9.0) for n in range(1600, 2400, 40)]
    rest = [timed(shape(prompt=n)) for n in range(1600, 2400, 40)]
    evicting = [
        timed(shape(prompt=n, methods=["snapkv(keep=64)"]), 0.3) for n in range(1600, 2400, 40)
    ]

    assert chosen(*stored).chosen == HALF
    measured = chosen(*stored, timings=[*slow, *rest, *evicting])

    assert measured.chosen == "snapkv(keep=64)"
    assert (measured.basis, measured.measured) == ("measured", 60)
    assert "by 60 runs measured on this machine" in measured.reason
    assert [one.runs for one in measured.options] == [20, 20, 20]


@pytest.mark.parametrize(("runs", "interval"), [(0, False), (2, False), (4, True)])
def test_an_interval_of_seconds_needs_eight_runs(runs, interval):
    stored = samples([1] * 40), samples([1] * 40, f"+{HALF}")
    methods = ((), (HALF,))
    timings = [timed(shape(prompt=1600 + n, methods=m)) for n in range(runs) for m in methods]

    choice = chosen(*stored, timings=timings)

    assert choice.chosen == HALF
    seconds = choice.reason.partition(";")[0]
    assert ("95 %" in seconds) == interval
    assert ("4 runs measured on this machine, too few for an interval" in seconds) == (runs == 2)


def test_a_recipe_that_is_hardly_faster_is_left_out():
    stored = samples([1] * 40), samples([1] * 40, "+truncate(keep=0.95)")

    choice = chosen(*stored)

    assert choice.chosen == "exact"
    assert "no recipe with a loss of at most 10 points is 1.2 times as fast" in choice.reason


def test_a_few_questions_prove_nothing():
    choice = chosen(samples([1] * 4), samples([1] * 4, f"+{QUARTER}"), samples([0] * 4, f"+{HALF}"))

    assert choice.chosen == "exact"
    assert "none of 2 stored comparisons at this length rules out a loss" in choice.reason
    assert f"the nearest, {QUARTER}: +0.0 points beside exact on 4 stored" in choice.reason


def test_the_allowed_loss_can_be_stated():
    stored = samples([1] * 40), samples([1] * 40, f"+{QUARTER}")
    strict = replace(RECIPE, approximate=("auto(loss=0.001)",))

    assert chosen(*stored).chosen == QUARTER
    assert chosen(*stored, recipe=strict).chosen == "exact"
    assert chosen(*stored, recipe=strict).loss == 0.001


@pytest.mark.parametrize(
    "name",
    [
        "+draft(other)+specpc-shallow(keep=0.1)",
        "+specpc-shallow(keep=0.1)",
        "+truncate(keep=0.1) --seed=3",
    ],
)
def test_other_drafts_and_settings_prove_nothing(name):
    choice = chosen(samples([1] * 40), samples([1] * 40, name))

    assert choice.chosen == "exact"
    assert "no comparison of target" in choice.reason


def test_prompts_of_another_length_prove_nothing():
    far = 3 * LONG

    stored = samples([1] * 40, length=far), samples([1] * 40, f"+{TENTH}", length=far)

    assert chosen(*stored).chosen == "exact"


def test_a_model_of_unknown_size_runs_exactly():
    choice = chosen(samples([1] * 40), samples([1] * 40, f"+{HALF}"), sizes=lambda name: None)

    assert choice.chosen == "exact"
    assert "the sizes of target are unknown" in choice.reason


def test_equal_measurements_give_equal_choices():
    stored = samples([1] * 40), samples([1] * 40, f"+{HALF}")

    assert chosen(*stored) == chosen(*stored)


@pytest.fixture
def own_results(tmp_path, monkeypatch):
    monkeypatch.setenv("FORETHOUGHT_RESULTS", str(tmp_path / "r.sqlite"))
    return tmp_path / "r.sqlite"


def test_a_run_says_what_was_chosen_and_can_be_repeated(own_results):
    length = len(chat_prompt(BIG.tokenizer, BIG.template, QUESTION, DOCUMENT * 4))
    stored = samples([1] * 40, length=length), samples([1] * 40, f"+{QUARTER}", length=length)
    with Store.open(own_results) as store:
        for one in (s for some in stored for s in some):
            store.put(one)
    recipe = replace(RECIPE, max_tokens=4)
    session = Session(recipe, (), BIG, SMALL)

    *_, done = session.stream(QUESTION, DOCUMENT * 4)

    run = done.data["run"]
    assert run["recipe"] == f"target+draft(same-tokens)+{QUARTER}"
    assert run["notes"][0].startswith(f"auto chose {QUARTER} because it takes ")
    assert f"auto chose {QUARTER} because" in " ".join(panel(run, width=500, colour=False).split())
    (choice,) = run["choices"]
    assert (choice["setting"], choice["chosen"]) == ("approximate", QUARTER)
    assert run["kept"]["prompt_tokens"] == pytest.approx(length / 4, abs=1)
    named = replace(Recipe.parse(run["recipe"]), max_tokens=4)
    alone = Session(named, built_methods(named), BIG, SMALL)
    *_, repeated = alone.stream(QUESTION, DOCUMENT * 4)
    assert repeated.data["run"]["answer"] == run["answer"]


def test_finished_runs_are_timed_for_later_choices(own_results):
    recipe = Recipe(model="target", max_tokens=4)
    session = Session(recipe, (), BIG, BIG, timings=timings_file())

    *_, done = session.stream(QUESTION, DOCUMENT * 4)

    run, machine = done.data["run"], session_machine()
    (timing,) = read_timings(timings_file(), machine)
    assert (timing.model, timing.methods, timing.rows) == ("target", (), 1)
    assert timing.prompt == run["kept"]["of"]
    assert timing.decode == run["timing"]["stages"]["decode"]
    assert read_timings(timings_file(), HERE.name) == []  # of another machine
    again = Session(replace(RECIPE, max_tokens=4), (), BIG, SMALL)
    *_, automatic = again.stream(QUESTION, DOCUMENT * 4)
    (choice,) = automatic.data["run"]["choices"]
    assert (choice["basis"], choice["measured"]) == ("measured", 1)


def test_only_plain_answers_of_ask_are_timed(own_results, tmp_path):
    model = str(write_tiny_model(tmp_path / "m"))

    ask("Why?", Recipe(model=model, max_tokens=3, samples=2))
    ask("Why?", Recipe(model=model, max_tokens=3, search="majority-vote(n=2)"))

    (timing,) = read_timings(timings_file(), session_machine())
    assert (timing.model, timing.rows, timing.weights) == (model, 2, "bf16")
    assert not own_results.exists()


def test_a_file_of_timings_that_cannot_be_read_costs_no_answer(own_results, tmp_path):
    model = str(write_tiny_model(tmp_path / "m"))
    timings_file().write_bytes(b"no database at all, and longer than a header" * 9)

    assert ask("Why?", Recipe(model=model, max_tokens=3))["finish"]
    recipe = Recipe(model=model, max_tokens=3, approximate=("auto",))
    assert ask("Why?", recipe)["choices"][-1]["chosen"] == "exact"


def session_machine():
    return this_machine(BIG.network.device).name


def test_auto_stands_alone_and_takes_a_loss_only():
    with pytest.raises(UsageError, match="auto chooses all methods"):
        Recipe(approximate=("auto", "snapkv"))
    with pytest.raises(BadParameterError, match="the loss 2 of auto"):
        Recipe(approximate=("auto(loss=2)",))
    with pytest.raises(UnknownNameError, match="lose"):
        Recipe(approximate=("auto(lose=0.1)",))
    assert Recipe(approximate=("Auto (loss=0.1)",)) == Recipe(approximate=("auto",))
    assert Recipe.parse("smollm2+auto(loss=0.05)").allowed_loss == 0.05

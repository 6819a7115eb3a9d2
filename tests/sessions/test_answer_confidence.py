"""Confidence in the record of a run: labelled, calibrated, and a reason to abstain."""

from __future__ import annotations

import json

import pytest

from forethought.contracts.calibration import Calibration, CalibrationMap
from forethought.contracts.errors import BadDataError, UsageError
from forethought.recipes.recipe import Recipe
from forethought.sessions.answer_confidence import answered_as
from forethought.sessions.batch import Answers
from forethought.sessions.batch_question import BatchQuestion
from forethought.storage.calibrations import (
    CALIBRATIONS,
    add_calibrations,
    calibrations_file,
    stored_calibrations,
)
from tests.sessions.tiny_session import DOCUMENT, QUESTION, TARGET, events, run

VOTE = {"search": "majority-vote(n=3)", "temperature": 1.0}


@pytest.fixture(autouse=True)
def own_file(tmp_path, monkeypatch):
    """Calibrations of this test alone."""
    file = tmp_path / "calibrations.json"
    monkeypatch.setenv(CALIBRATIONS, str(file))
    return file


def fitted(method, parameters, kind="isotonic", **changes):
    """A calibration of the runs below."""
    recipe = Recipe(model="target", **{**VOTE, **changes})
    fit = CalibrationMap(kind, tuple(parameters))
    return Calibration(answered_as(recipe), method, fit, ("gsm8k",), 120, 0.04, 0.02, 0.08)


def test_every_method_is_recorded_and_the_first_one_decides():
    told = run(confidence=("likelihood", "p-true(samples=2)"), **VOTE)["confidence"]
    first, second = told["estimates"]
    assert (first["method"], second["method"]) == ("likelihood", "p-true(samples=2)")
    assert {name: told[name] for name in first} == first
    assert told["calibrated"] is False
    assert told["value"] == told["raw"]
    assert second["cost"]["scoring_tokens"] > 0


def test_the_cost_of_a_confidence_is_part_of_the_run():
    plain, judged = run(**VOTE), run(confidence=("p-true(samples=2)",), **VOTE)
    (told,) = judged["confidence"]["estimates"]
    assert judged["answer"] == plain["answer"]
    for name in ("flops", "scoring_tokens"):
        assert judged["cost"][name] == pytest.approx(plain["cost"][name] + told["cost"][name])


def test_a_plain_answer_may_be_judged_too():
    told = run(confidence=("agreement(n=3)",), temperature=1.0)
    assert told["candidates"][0]["chosen"]
    assert 1 / 3 <= told["confidence"]["value"] <= 1 or told["confidence"]["value"] == 0
    assert told["confidence"]["cost"]["output_tokens"] > 0


def test_without_a_confidence_a_search_reports_its_agreement():
    told = run(**VOTE)["confidence"]
    assert told is None or set(told) == {"value", "method", "calibrated"}


def test_a_stored_calibration_turns_the_number_into_a_probability_and_is_named(own_file):
    raw = run(confidence=("likelihood",), **VOTE)["confidence"]["raw"]
    add_calibrations([fitted("likelihood", [raw / 2, raw, 0.1, 0.75])])
    told = run(confidence=("likelihood",), **VOTE)["confidence"]
    assert (told["raw"], told["value"], told["calibrated"]) == (raw, 0.75, True)
    assert told["calibration"]["tasks"] == ["gsm8k"]
    assert told["calibration"]["error_interval"] == [0.02, 0.08]


@pytest.mark.parametrize(
    "other",
    [
        {"search": "majority-vote(n=4)"},
        {"temperature": 0.5},
        {"approximate": ("snapkv(keep=120)",)},
        {"weights": "int8"},
    ],
)
def test_a_calibration_of_other_answers_is_not_used(other):
    add_calibrations([fitted("likelihood", [0.0, 1.0, 0.1, 0.2], **other)])
    assert run(confidence=("likelihood",), **VOTE)["confidence"]["calibrated"] is False


def test_seed_budget_and_length_leave_a_calibration_valid():
    add_calibrations([fitted("likelihood", [0.0, 1.0, 0.5, 0.5])])
    changes = {"seed": 7, "budget": "1000tok", "max_tokens": 5}
    assert run(confidence=("likelihood",), **VOTE, **changes)["confidence"]["value"] == 0.5


def test_an_answer_below_the_threshold_is_withheld_with_a_reason():
    add_calibrations([fitted("likelihood", [0.0, 1.0, 0.4, 0.4])])
    told = run(confidence=("likelihood",), abstain_below=0.6, **VOTE)
    assert (told["answer"], told["finish"]) == ("", "abstained")
    reason = "the confidence 0.40 (likelihood, calibrated) is below 0.6"
    assert told["confidence"]["abstained"] == reason
    assert run(confidence=("likelihood",), abstain_below=0.4, **VOTE)["answer"]


def test_an_unmeasured_confidence_withholds_the_answer():
    told = run(confidence=("verbalised",), abstain_below=0.6, max_tokens=1)
    assert told["finish"] == "abstained"
    assert told["confidence"]["value"] is None
    assert "not known" in told["confidence"]["abstained"]


def test_a_withheld_answer_is_never_shown_before_its_end():
    shown = events(confidence=("likelihood",), abstain_below=1.0, temperature=1.0)
    assert {one.kind for one in shown}.isdisjoint({"token", "candidate"})
    assert shown[-1].data["run"]["answer"] == ""


def test_a_threshold_without_a_confidence_is_refused():
    with pytest.raises(UsageError, match="no confidence is named"):
        Recipe(abstain_below=0.5)
    with pytest.raises(UsageError, match="one answer"):
        Recipe(confidence=("p-true",), samples=3)


def test_a_batch_refuses_to_withhold_answers():
    recipe = Recipe(model="target", confidence=("likelihood",), abstain_below=0.5)
    with Answers(lambda name, weights: TARGET) as answers, pytest.raises(UsageError, match="score"):
        list(answers.answer([BatchQuestion(recipe, QUESTION, DOCUMENT)]))


def test_a_recipe_without_a_confidence_keeps_its_identity():
    held = json.loads(Recipe().to_json())
    assert {"confidence", "abstain_below"}.isdisjoint(held)
    judged = Recipe(confidence=("p-true",))
    assert Recipe.from_json(judged.to_json()) == judged
    assert judged.asking == Recipe().asking


def test_new_calibrations_replace_those_of_the_same_answers_and_method(own_file):
    old, other = fitted("likelihood", [0.0, 0.5]), fitted("p-true", [0.0, 0.5])
    add_calibrations([old, other])
    fresh = fitted("likelihood", [0.0, 0.9])
    assert add_calibrations([fresh]) == own_file == calibrations_file()
    assert stored_calibrations() == [other, fresh]


@pytest.mark.parametrize(
    ("kind", "parameters", "problem"),
    [
        ("isotonic", [0.1, 0.2, 0.3], "pairs"),
        ("isotonic", [0.2, 0.1, 0.3, 0.4], "ascend"),
        ("isotonic", [0.1, 0.2, 0.3, 1.4], "outside"),
        ("platt", [-1.0, 0.0], "below 0"),
        ("temperature", [0.0], "above 0"),
        ("guess", [1.0], "missing or has the wrong type"),
        ("temperature", [float("nan")], "not a number"),
    ],
)
def test_a_file_with_a_senseless_map_is_refused(own_file, kind, parameters, problem):
    add_calibrations([fitted("likelihood", parameters, kind)])
    with pytest.raises(BadDataError, match=problem):
        run(confidence=("likelihood",), **VOTE)


@pytest.mark.parametrize("text", ["", "{}", '{"kind": "forethought calibrations", "version": 9}'])
def test_a_file_that_holds_no_calibrations_is_refused(own_file, text):
    own_file.write_text(text)
    with pytest.raises(BadDataError, match="holds no calibrations"):
        stored_calibrations()

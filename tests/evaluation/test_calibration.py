"""Calibrations fitted to a results file."""

from __future__ import annotations

import math

import numpy as np
import pytest

from forethought.contracts.calibration import log_odds, sigmoid
from forethought.contracts.errors import UsageError
from forethought.evaluation.calibration import calibrate
from forethought.recipes.recipe import Recipe
from forethought.sessions.answer_confidence import answered_as
from forethought.storage.store import Store
from tests.storage.sample_maker import sample

RECIPE = Recipe(model="tiny", search="majority-vote(n=4)", confidence=("likelihood",))


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch):
    """Bootstrap samples enough for intervals of which only the order is tested."""
    monkeypatch.setattr("forethought.evaluation.calibration.ROUNDS", 200)


def estimate(method, raw, **cost):
    return {"method": method, "raw": raw, "value": raw, "calibrated": False, "cost": cost}


def stored(file, answers, *, recipe=RECIPE, task="sums"):
    """A results file of answers, each a score and the raw number of every method."""
    with Store.open(file) as store:
        for place, (score, told) in enumerate(answers):
            methods = [estimate(name, raw, scoring_tokens=7, flops=50.0) for name, raw in told]
            run = {
                "recipe": recipe.spelling,
                "settings": {k: list(v) if isinstance(v, tuple) else v
                             for k, v in recipe.settings.items()},
                "confidence": {"estimates": methods} if methods else None,
            }  # fmt: skip
            store.put(
                sample(task=task, recipe=recipe.label, question=f"q{place}", score=score, run=run)
            )
    return file


def overconfident(count=200, seed=0):
    """Answers whose true log odds are half of those stated, less one; and a coin's number."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        value = float(rng.uniform(0.05, 0.95))
        right = rng.random() < sigmoid(log_odds(value) / 2 - 1)
        yield float(right), [("stated", value), ("coin", float(rng.random()))]


def by_method(found):
    return {one.method: one for one in found.methods}


def test_methods_are_ranked_and_a_coin_tells_nothing(tmp_path):
    found = calibrate("best", results=stored(tmp_path / "r.sqlite", overconfident()))
    assert [one.method for one in found.methods] == ["stated", "coin"]
    stated, coin = found.methods
    assert coin.auroc.low < 0.5 < coin.auroc.high
    assert stated.auroc.low > 0.5
    assert (stated.questions, stated.silent, stated.tokens, stated.flops) == (200, 0, 7.0, 50.0)


def test_a_calibration_lowers_the_error_on_answers_that_it_did_not_see(tmp_path):
    file = stored(tmp_path / "r.sqlite", overconfident())
    (stated, _) = calibrate("platt", results=file).methods
    assert stated.error.low > 0.1
    # 200 answers in ten bins leave an error of about 0.05 by chance alone.
    assert stated.held_out["platt"].error.value < 0.1
    slope, intercept = stated.chosen.map.parameters
    assert (slope, intercept) == (pytest.approx(0.5, abs=0.25), pytest.approx(-1, abs=0.35))


def test_the_calibration_is_named_by_the_recipe_without_its_judges(tmp_path):
    found = calibrate("isotonic", results=stored(tmp_path / "r.sqlite", overconfident(60)))
    (first, _) = found.calibrations
    assert first.answers == answered_as(Recipe(model="tiny", search="majority-vote(n=4)"))
    assert (first.map.kind, first.tasks, first.questions) == ("isotonic", ("sums",), 60)
    assert 0 <= first.error_low <= first.error <= first.error_high + 0.05


def test_best_is_the_kind_of_the_least_held_out_brier_score(tmp_path):
    file = stored(tmp_path / "r.sqlite", overconfident(80))
    for one in calibrate("best", results=file).methods:
        least = min(held.brier.value for held in one.held_out.values())
        assert one.held_out[one.chosen.map.kind].brier.value == least


def test_silent_answers_are_counted_and_no_zeros(tmp_path):
    answers = [(1.0, [("said", 0.9)])] * 30 + [(0.0, [("said", None)])] * 10
    found = by_method(calibrate("best", results=stored(tmp_path / "r.sqlite", answers)))["said"]
    assert (found.questions, found.silent, found.accuracy) == (30, 10, 1.0)
    assert math.isnan(found.auroc.value)
    assert found.chosen.auroc is None


def test_few_questions_are_measured_but_not_calibrated(tmp_path):
    found = calibrate("best", results=stored(tmp_path / "r.sqlite", overconfident(19)))
    assert found.calibrations == []
    assert "19 answers; 20 questions are the least" in found.notes[0]
    assert found.document()["methods"][0]["chosen"] is None


def test_another_model_and_another_task_are_left_out(tmp_path):
    file = tmp_path / "r.sqlite"
    stored(file, overconfident(25))
    stored(file, overconfident(30), task="addition(digits=2)")
    stored(file, overconfident(35), recipe=Recipe(model="other", confidence=("likelihood",)))
    assert [one.questions for one in calibrate("best", model="tiny", results=file).methods] == [
        55,
        55,
    ]
    named = calibrate("best", tasks=["addition(digits=2)"], results=file)
    assert [one.questions for one in named.methods] == [30, 30]


def test_an_answer_that_two_runs_judged_counts_once(tmp_path):
    file = stored(tmp_path / "r.sqlite", overconfident(30))
    both = Recipe(model="tiny", search="majority-vote(n=4)", confidence=("likelihood", "p-true"))
    stored(file, overconfident(30), recipe=both)
    assert [one.questions for one in calibrate("best", results=file).methods] == [30, 30]


def test_estimates_of_methods_that_are_not_installed_are_measured_too(tmp_path):
    file = stored(tmp_path / "r.sqlite", overconfident(25))
    with Store.open(file) as store:
        one = store.samples()[0]
        run = {**one.run, "settings": {"confidence": ["some-plugin"]}}
        store.put(sample(task="sums", question="new", recipe="tiny", run=run))
    assert by_method(calibrate("best", results=file))["stated"].questions == 26


def test_answers_at_another_temperature_have_calibrations_of_their_own(tmp_path):
    file = tmp_path / "r.sqlite"
    stored(file, overconfident(25))
    stored(file, overconfident(25), recipe=Recipe.from_json(
        Recipe(model="tiny", search="majority-vote(n=4)", temperature=0.3,
               confidence=("likelihood",)).to_json()
    ))  # fmt: skip
    assert len({one.answers for one in calibrate("best", results=file).calibrations}) == 2


@pytest.mark.parametrize("answers", [[], [(1.0, [])]])
def test_a_file_without_confidences_says_how_to_make_some(tmp_path, answers):
    file = stored(tmp_path / "r.sqlite", answers) if answers else tmp_path / "none.sqlite"
    with pytest.raises(UsageError, match="confidence was measured") as error:
        calibrate("best", results=file)
    assert "--confidence" in error.value.hint

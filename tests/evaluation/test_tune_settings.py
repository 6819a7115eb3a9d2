"""`tune --settings` on a tiny model: measured, guarded, resumed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from forethought.cli.main import exit_code
from forethought.contracts.settings import SettingsTrial
from forethought.evaluation.holdout_looks import HoldoutItem, HoldoutLooks, HoldoutSplit
from forethought.evaluation.tune_settings import TuningSettings, _Guard, _Runs, tune_settings
from forethought.recipes.recipe import Recipe
from forethought.reports.terminal.settings import settings_text
from forethought.storage.store import Store
from tests.cli.tiny_folder import write_tiny_model

TASK = "addition(digits=1, count=20)"
SPACE = "snapkv(keep=40..60)"


def test_trials_are_measured_and_a_second_search_asks_nothing(tmp_path: Path) -> None:
    file = tmp_path / "r.sqlite"
    on = Recipe(model=str(write_tiny_model(tmp_path / "m")), max_tokens=3)
    told: list[SettingsTrial] = []

    found = tune_settings(
        SPACE, [TASK], on, wanted=TuningSettings(5), results=file, progress=told.append
    )

    with Store.open(file) as store:
        counts, samples = store.counts(), store.samples()
    assert told == [*found.trials]
    assert len(counts) == 6
    assert found.questions == (10, 10)
    exact = [one.run["cost"]["flops"] for one in samples if "snapkv" not in one.recipe]
    assert min(exact) <= found.exact_flops <= max(exact)
    assert found.best in {one.recipe for one in found.trials}
    assert found.held_out is not None
    assert "10 were held out" in settings_text(found, width=500)
    assert tune_settings(SPACE, [TASK], on, wanted=TuningSettings(5), results=file) == found
    with Store.open(file) as store:
        assert store.counts() == counts


def runs(scores: np.ndarray, flops: float, label: str = "x") -> _Runs:
    names = [str(n) for n in range(len(scores))]
    return _Runs(
        dict(zip(names, scores.tolist(), strict=True)),
        dict.fromkeys(names, flops),
        {name: HoldoutItem("t", name, name, "") for name in names},
        label,
    )


def guarded(exact: _Runs, halves: tuple[range, range], store: Store) -> _Guard:
    tuning, holdout = (tuple(map(str, half)) for half in halves)
    split = HoldoutSplit(tuning, holdout, "digest")
    return _Guard(exact, HoldoutLooks(split, exact.label, store.holdouts()))


def test_a_trial_is_priced_and_judged_on_the_tuning_half(tmp_path: Path) -> None:
    exact, other = runs(np.tile([1.0, 0.0], 10), 8.0), runs(np.tile([0.5, 0.0], 10), 2.0)
    with Store.open(tmp_path / "r.sqlite") as store:
        guard = guarded(exact, (range(8), range(8, 20)), store)

    found = guard.trial("x", other, 0.2)

    assert (found.change, found.flops, found.cost_of_pass) == (-0.25, 2.0, 8 * 2 / 2)
    assert not found.admissible
    assert guard.trial("x", other, 0.25).admissible
    assert guard.trial("x", replace(other, scores=dict.fromkeys(exact.scores, 0.0)), 0.25) \
        .cost_of_pass is None  # fmt: skip


def test_thresholdout_answers_where_the_halves_differ_and_its_budget_is_kept(
    tmp_path: Path,
) -> None:
    halves = range(2000), range(2000, 4000)
    exact, alike = runs(np.full(4000, 0.5), 1.0, "exact"), runs(np.full(4000, 0.6), 1.0, "alike")
    lucky = runs(np.repeat([1.0, 0.0], 2000), 1.0, "lucky")
    with Store.open(tmp_path / "r.sqlite") as store:
        guard = guarded(exact, halves, store)
        found = guard.trial("alike", alike, 0.05)
        caught = guard.trial("lucky", lucky, 0.05)
    with Store.open(tmp_path / "r.sqlite") as store:
        later = guarded(exact, halves, store)
        again, left = later.trial("lucky", lucky, 0.05), later.looks.left

    assert found.change == pytest.approx(0.1)
    assert not found.charged
    assert caught.charged
    assert caught.change < 0.2  # the tuning half says +0.5, the holdout half -0.5
    assert (again, left) == (caught, 29)


def test_a_recipe_that_refuses_a_question_has_no_score(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, output = str(write_tiny_model(tmp_path / "m")), tmp_path / "found.json"
    line = ["tune", "--settings", "snapkv(keep=1|2)", "-m", model, "-t", TASK, "--trials", "9"]
    kept = ["--results", str(tmp_path / "r.sqlite"), "-o", str(output)]

    assert exit_code([*line, *kept]) == 0

    told = capsys.readouterr()
    found = json.loads(output.read_text())
    assert [one["change"] for one in found["trials"]] == [None, None]
    assert all("entries, of which window=32" in one["refused"] for one in found["trials"])
    assert found["best"] == ""
    assert "keep the exact run" in " ".join(told.out.split())
    assert len(told.err.splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--settings", SPACE], "there is no task"),
        (["--settings", "snapkv(keep=8)", "-t", TASK], "has no setting to choose"),
        (["--settings", "snapvk(keep=8..9)", "-t", TASK], "did you mean snapkv"),
        (["--settings", SPACE, "-t", TASK, "--surrogate", "pg"], "known: gp, tpe, wide-network"),
        (["--settings", SPACE, "-t", TASK, "--objective", "time"], "known: flops, seconds"),
        (["--settings", SPACE, "-t", TASK, "--engine", "row=1|2"], "did you mean rows?"),
        (["--settings", "snapkv", "-t", TASK, "--engine", "rows=9"], "has no setting to choose"),
        (["--settings", SPACE, "-t", TASK, "--loss", "2"], "a loss of 2"),
        (["--settings", SPACE, "-t", TASK, "greedy"], "greedy is named besides"),
        (["--settings", SPACE, "-t", TASK, "-m", "http://127.0.0.1:9/v1"], "is a server"),
    ],
)
def test_wrong_usage_is_refused(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(["tune", *arguments]) == 2
    assert said in " ".join(capsys.readouterr().err.split())

"""Stored samples as logs of inspect-ai, read back by inspect-ai."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from forethought.cli.main import exit_code
from forethought.evaluation.compare import measured
from forethought.evaluation.stored_answers import stored_answers
from forethought.recipes.recipe import Recipe
from forethought.storage.store import Store
from forethought.tasks.steps.addition import Addition
from tests.cli.tiny_folder import write_tiny_model

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("inspect_ai")
    from inspect_ai.analysis import samples_df
    from inspect_ai.log import list_eval_logs, read_eval_log

    from forethought.adapters.inspect_log import write_inspect_logs

TASK = "addition(digits=2)"
TASKS = {TASK: Addition(digits=2, count=3)}


@pytest.fixture
def recipes(own_cache: Path, tmp_path: Path) -> list[Recipe]:
    model = str(write_tiny_model(tmp_path / "tiny"))
    plain = Recipe(model=model, max_tokens=8, temperature=0.9)
    return [plain, Recipe(model=model, max_tokens=8, search="majority-vote(n=3)")]


def test_each_recipe_and_task_has_a_log_with_its_samples(
    recipes: list[Recipe], tmp_path: Path
) -> None:
    results = tmp_path / "results.sqlite"
    found = measured(recipes, TASKS, results, samples=2)
    files = write_inspect_logs(stored_answers(recipes, TASKS, results, 2), tmp_path / "logs")

    assert {
        Path(one.name.removeprefix("file://")) for one in list_eval_logs(str(tmp_path / "logs"))
    } == set(files)
    logs = {one.eval.metadata["recipe"]: one for one in map(read_eval_log, files)}
    assert set(logs) == {one.label for one in recipes}
    for recipe, standing in zip(recipes, found.standings, strict=True):
        log = logs[recipe.label]
        assert (log.status, log.eval.task, log.eval.task_args) == (
            "success",
            "addition",
            {"digits": 2},
        )
        assert log.eval.dataset.samples == 3
        assert (log.eval.config.epochs, log.results.completed_samples) == (2, 6)
        assert log.eval.model_generate_config.max_tokens == 8
        score = log.results.scores[0].metrics["accuracy"].value
        assert score == pytest.approx(standing.score.value)
        assert {(one.id, one.epoch) for one in log.samples} == {
            (f"addition-{n}", epoch) for n in range(3) for epoch in (1, 2)
        }


def test_a_sample_holds_the_answer_its_score_its_usage_and_its_cost(
    recipes: list[Recipe], tmp_path: Path
) -> None:
    results = tmp_path / "results.sqlite"
    measured(recipes, TASKS, results)
    write_inspect_logs(stored_answers(recipes, TASKS, results), tmp_path / "logs")
    with Store.open(results) as store:
        stored = {one.key: one for one in store.samples()}

    logs = [read_eval_log(one) for one in list_eval_logs(str(tmp_path / "logs"))]

    for log in logs:
        for sample in log.samples:
            kept = stored[sample.uuid]
            cost = kept.run["cost"]
            assert sample.output.completion == kept.run["answer"]
            assert sample.scores["forethought"].value == kept.score
            assert sample.output.usage.input_tokens == cost["prompt_tokens"] > 0
            assert sample.output.usage.output_tokens == cost["output_tokens"] > 0
            assert sample.metadata["cost"] == cost
            assert sample.metadata["recipe"] == kept.recipe
            assert sample.target  # the reference answer
            assert sample.messages[0].text == sample.input
    assert sum(len(log.samples) for log in logs) == len(stored) == 6


def test_inspects_data_frames_read_the_logs(recipes: list[Recipe], tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    results = tmp_path / "results.sqlite"
    measured(recipes, TASKS, results)
    write_inspect_logs(stored_answers(recipes, TASKS, results), tmp_path / "logs")

    assert len(samples_df(str(tmp_path / "logs"))) == 6


def test_the_command_line_writes_the_logs_and_a_second_run_replaces_them(
    recipes: list[Recipe], tmp_path: Path
) -> None:
    logs, results = tmp_path / "logs", tmp_path / "results.sqlite"
    line = ["evaluate", "exact", "-m", recipes[0].model, "-t", "addition(digits=2, count=2)",
            "--max-tokens", "8", "--results", str(results), "-q",
            "--inspect-logs", str(logs)]  # fmt: skip

    assert exit_code(line) == 0
    assert exit_code(line) == 0

    [one] = list_eval_logs(str(logs))
    assert len(read_eval_log(one).samples) == 2

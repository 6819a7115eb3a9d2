"""A file in LongBench's format, from the command line to the stored scores."""

import json
from pathlib import Path
from typing import Any

import pytest

from forethought.cli.main import exit_code
from forethought.contracts.questions import Sample
from forethought.models.compiled.build import SWITCH
from forethought.storage.store import Store
from tests.cli.tiny_folder import write_tiny_model
from tests.tasks.longbench import published_scorer as published

CONTEXT = "The clerk counts the ropes and the lamps of each boat in spring. " * 3


def row(name: str, answers: list[str]) -> dict[str, Any]:
    return {
        "_id": name,
        "input": "Who counts?",
        "context": CONTEXT,
        "answers": answers,
        "dataset": name,
        "language": "en",
        "all_classes": None,
        "length": 39,
    }


@pytest.fixture
def evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("FORETHOUGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(SWITCH, "0")
    model, file = write_tiny_model(tmp_path / "tiny"), tmp_path / "rows.jsonl"

    def run(*rows: dict[str, Any]) -> dict[str, Sample]:
        results = tmp_path / f"{len(list(tmp_path.iterdir()))}.sqlite"
        file.write_text("".join(json.dumps(one) + "\n" for one in rows))
        task = ["-t", f"longbench(path='{file}', longest=12)"]
        assert (
            exit_code(["evaluate", "exact", *task, "-m", str(model), "--results", str(results)])
            == 0
        )
        with Store.open(results) as store:
            return {one.question: one for one in store.samples()}

    return run


def test_stored_scores_are_the_published_ones(evaluated: Any) -> None:
    names = ("hotpotqa", "gov_report", "lcc")
    answers = {
        name: one.run["answer"]
        for name, one in evaluated(*(row(name, ["-"]) for name in names)).items()
    }
    near = {name: f"{answer} more" for name, answer in answers.items()}

    scores = {
        name: one.score
        for name, one in evaluated(*(row(name, ["-", near[name]]) for name in names)).items()
    }

    expected = {
        "hotpotqa": published.f1(*(published.words(of["hotpotqa"]) for of in (answers, near))),
        "gov_report": published.rouge_l(answers["gov_report"], near["gov_report"]),
        "lcc": published.code(answers["lcc"], near["lcc"]),
    }
    assert scores == pytest.approx(expected)
    assert all(0 < one < 1 for one in scores.values())

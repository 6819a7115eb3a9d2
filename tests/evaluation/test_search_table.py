"""The benchmark of searches: its lines can be run, stopped, resumed and read."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from forethought.storage.store import Store
from tests.cli.tiny_folder import write_tiny_model

ROOT = Path(__file__).parents[2]
MODELS = ("qwen-coder-0.5b", "qwen-coder-1.5b")


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tiny_model(tmp_path / "tiny")
    rows = [{"question": f"{n} + 1?", "answer": str(n + 1)} for n in range(3)]
    (tmp_path / "gsm8k.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path


def options(folder: Path, **changed: Any) -> argparse.Namespace:
    given = {
        "model": str(folder / "tiny"), "data": str(folder), "count": 2, "samples": None,
        "budget": None, "weights": "auto", "results": folder / "s.sqlite", "stored": False,
        "csv": folder / "tables",
    }  # fmt: skip
    return argparse.Namespace(**given | changed)


def answers(folder: Path) -> int:
    with Store.open(folder / "s.sqlite") as store:
        return len(list(store.samples()))


def test_every_line_names_recipes_and_tasks_that_there_are(folder: Path) -> None:
    from search_lines import LINES
    from search_table import recipes_of, tasks_of

    for name, line in LINES.items():
        for model in MODELS:
            asked = options(folder, model=model, count=None)
            recipes, tasks = recipes_of(line, asked), tasks_of(line, asked)

            assert len({one.label for one in recipes}) == len(line.recipes) == len(recipes)
            assert len(tasks) == len(line.tasks)
            assert {one.count for one in tasks.values()} == {line.count}
            assert all(one.search and one.model == model for one in recipes)
            assert all(bool(one.budget) == name.startswith("strategies") for one in recipes)
            assert {*line.routes} <= {search for search, _ in line.recipes}


def test_a_line_runs_resumes_and_is_read_without_a_model(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from search_lines import Line, plain
    from search_table import publish

    task = 'gsm8k(path="{data}gsm8k.jsonl", answer_tokens=6{more})'
    searches = plain("majority-vote(n=4)", "best-of-n(n=4)@likelihood")
    line = Line(
        "a line", searches, (task,), up_to=16, false_positives=(0.0, 0.1),
        routes=("greedy", "majority-vote(n=4)"),
    )  # fmt: skip

    publish("few", line, options(folder, stored=True))
    assert "No question has been answered by every recipe." in capsys.readouterr().out

    publish("few", line, options(folder, count=1))
    assert answers(folder) == 2
    publish("few", line, options(folder))
    assert answers(folder) == 4
    told = capsys.readouterr()
    assert "2 of 4" in told.err
    assert "### forecast" in told.out
    assert "| 10% | 2 questions are too few" in told.out
    assert "difficulty-router: " in told.out

    publish("few", line, options(folder, count=3, stored=True, model=str(folder / "tiny")))
    read = capsys.readouterr().out
    assert "1 task, 2 questions answered by every recipe" in read
    assert "What the answers allow" in read
    assert answers(folder) == 4
    assert "oracle" in (folder / "tables" / "few-tiny.csv").read_text().splitlines()[0]


def test_settings_of_a_recipe_and_the_commands_budget_reach_it(folder: Path) -> None:
    from search_lines import LINES
    from search_table import recipes_of

    warm = recipes_of(LINES["temperature"], options(folder))
    spent = recipes_of(LINES["strategies-gsm8k"], options(folder, budget="90tok"))

    assert [one.warmth for one in warm] == [0.7, 0.3, 0.5, 0.6, 0.8, 0.9, 1.0]
    assert {one.budget for one in spent} == {"90tok"}

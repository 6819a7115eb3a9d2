"""The Python calls behind `evaluate` and `compare`, on a tiny model in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from forethought.evaluation.compare import compare, evaluate
from forethought.recipes.recipe import Recipe
from tests.cli.tiny_folder import write_tiny_model


@pytest.mark.usefixtures("own_cache")
def test_a_comparison_begins_with_the_exact_run_and_shares_the_samples(tmp_path: Path) -> None:
    model, results = str(write_tiny_model(tmp_path / "tiny")), tmp_path / "r.sqlite"
    tasks, seen = ["vt(tokens=700, count=2)"], []

    first = evaluate(["snapkv"], tasks, Recipe(model=model), keeps=[330], results=results)
    second = compare(
        ["snapkv"], tasks, Recipe(model=model), keeps=[330], results=results, progress=seen.append
    )

    assert [one.recipe for one in second.standings] == [model, f"{model}+snapkv(keep=330)"]
    assert second.standings[1].score == first.standings[0].score
    assert (seen[0].done, seen[-1].asked) == (2, 2)
    assert second.tasks == ("vt(tokens=700)",)

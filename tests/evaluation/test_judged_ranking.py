"""`--judged`: recipes ranked by stored verdicts, with few gold scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from forethought.beliefs.judges import JudgeModel
from forethought.cli.main import exit_code
from forethought.contracts.errors import BadParameterError, UsageError
from forethought.contracts.questions import Sample
from forethought.evaluation import judged_ranking as judged_module
from forethought.evaluation.judged_ranking import JudgedSettings, check_judges, judged_ranking
from forethought.evaluation.statistics import compared
from forethought.reports.comparison import comparison_markdown, comparison_text
from tests.evaluation.stored import plain

RECIPES = ("smollm2", "qwen2.5-0.5b", "qwen2.5-1.5b")
RATES = (0.35, 0.55, 0.8)


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of the draws, which is enough for the tolerances here."""
    monkeypatch.setattr(judged_module, "_MODEL", JudgeModel(draws=150))
    monkeypatch.setattr(judged_module, "_QUICK", JudgeModel(draws=30))


def judged(
    accuracy: Sequence[float], items: int = 120, methods: Sequence[str] = ("a", "b"), seed: int = 0
) -> list[Sample]:
    """Answers of three recipes, with verdicts that are right with these probabilities."""
    rng, found = np.random.default_rng(seed), []
    for recipe, rate in zip(RECIPES, RATES, strict=True):
        for item in range(items):
            right = float(rng.random() < rate)
            told = [
                {
                    "method": method,
                    "value": right if rng.random() < one else 1 - right,
                    "calibrated": False,
                }
                for method, one in zip(methods, accuracy, strict=True)
            ]
            one = plain(f"q{item}", "x", right, recipe=recipe)
            run = {**one.run, "confidence": {**told[0], "estimates": told}}
            label = recipe
            found.append(replace(one, run=run, recipe=label, key=f"{recipe} {item}"))
    return found


def test_noisy_verdicts_rank_the_recipes_and_doubt_covers_the_gold_scores() -> None:
    """Rates lie 0.2 apart; verdicts are right in 80 and 70 of 100 cases."""
    samples = judged((0.8, 0.7))

    found = judged_ranking(samples, RECIPES, JudgedSettings(labels=60))

    gold = [np.mean([one.score for one in samples if one.recipe == name]) for name in RECIPES]
    assert [one.rank_low for one in found.recipes] == [3, 2, 1]
    assert found.recipes[2].best > 0.95
    for one, score in zip(found.recipes, gold, strict=True):
        assert one.score.value == pytest.approx(score, abs=0.1)
        assert one.score.low < score < one.score.high
    assert ("qwen2.5-1.5b", "smollm2") in found.sure
    assert (found.labels, found.questions, found.warning) == (60, 120, "")


def test_without_gold_scores_two_levels_still_rank_and_are_wider() -> None:
    samples = judged((0.8, 0.7))

    few, none = (judged_ranking(samples, RECIPES, JudgedSettings(labels=n)) for n in (100, 0))

    assert [one.rank_low for one in none.recipes] == [3, 2, 1]
    widths = [
        np.mean([one.score.high - one.score.low for one in found.recipes]) for found in (few, none)
    ]
    assert widths[0] < widths[1]


def test_chance_verdicts_rank_nothing() -> None:
    found = judged_ranking(judged((0.5,), methods=("a",)), RECIPES, JudgedSettings())

    assert found.sure == ()


def test_three_levels_by_one_judge_depend_on_the_prior_and_copies_are_left_out() -> None:
    samples = judged((1.0, 1.0), items=30)

    found = judged_ranking(samples, RECIPES, JudgedSettings(levels=3))

    assert "depends on the prior" in found.warning
    assert found.copies == (("a", "b"),)
    told = replace(compared(samples, RECIPES, ["addition"]), judged=found)
    text = " ".join(comparison_text(told, width=110, colour=False).split())
    for said in ("By the judges' verdicts", "Warning: with 3 levels", "b gives the verdicts of a"):
        assert said in text
        assert said in " ".join(comparison_markdown(told).split())


def test_a_missing_verdict_is_no_verdict() -> None:
    samples = judged((1.0,), items=40, methods=("a",))
    told = [{"method": "a", "value": None}]
    gone = replace(samples[0], run={**samples[0].run, "confidence": {"estimates": told}})

    found = judged_ranking([gone, *samples[1:]], RECIPES, JudgedSettings())

    known = np.mean([one.score for one in samples[1:] if one.recipe == RECIPES[0]])
    assert found.recipes[0].score.value == pytest.approx(known, abs=0.1)


def test_wrong_usage_is_refused(tmp_path, capsys) -> None:
    with pytest.raises(BadParameterError, match="11 levels"):
        JudgedSettings(levels=11)
    with pytest.raises(UsageError, match="there is one"):
        check_judges([["self-judge"]])
    with pytest.raises(UsageError, match="share none"):
        check_judges([["self-judge"], ["p-true"]])
    with pytest.raises(UsageError, match="share none"):
        judged_ranking([plain("q", "x", 1.0)], ["smollm2"], JudgedSettings())
    line = ["compare", "snapkv(keep=8)", "-t", "addition(count=2)", "--judged", "0"]
    assert exit_code([*line, "--results", str(tmp_path / "r.sqlite")]) == 2
    assert "--confidence self-judge" in " ".join(capsys.readouterr().err.split())

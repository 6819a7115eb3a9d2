"""A comparison as CSV: one row per recipe and task, and one total per recipe."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence

from forethought.contracts.comparison import Comparison, Difference, Interval, RecipeResult
from forethought.reports import figures
from forethought.reports.answer_range import saved
from forethought.reports.figures import Axis

_COLUMNS = (
    "recipe",
    "task",
    "questions",
    "score",
    "score_low",
    "score_high",
    "baseline",
    "difference",
    "difference_low",
    "difference_high",
    "p_value",
    "paired_questions",
    "wins",
    "losses",
    "detectable",
    "read_tokens",
    "unparsable",
    "unscored",
)
_ANSWERS = (
    "worst",
    "random",
    "oracle",
    "answers",
    "answers_without_stop",
    "saved",
    "token_spread",
    "right_tokens",
    "wrong_tokens",
)
"""Columns of comparisons with several answers to a question."""
_SURE = (
    "confidence",
    "calibrated",
    "auroc",
    "auroc_low",
    "auroc_high",
    "ece",
    "ece_low",
    "ece_high",
    "abstain_below",
    "answered",
    "score_answered",
)
"""Columns of comparisons with confidences: those of the first method, which decides."""


def comparison_csv(comparison: Comparison, *, timing: bool = True) -> str:
    """One row for each recipe and task, then the recipe's total with an empty task.

    Scores and differences are fractions of 1; costs are in bytes, seconds and FLOPs. A column
    `frontier_…` is 1 if no other recipe is as good and cheaper. `changed` lists the settings that
    differ from the published ones.
    """
    axes = figures.axes(comparison, timing)
    frontiers = [f"frontier_{one.name}" for one in axes]
    answers = _ANSWERS if any(one.chances for one in comparison.standings) else ()
    sure = _SURE if any(one.confidence for one in comparison.standings) else ()
    columns = [
        *_COLUMNS,
        *answers,
        *sure,
        *(one.name for one in axes),
        *frontiers,
        "published",
        "changed",
    ]
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="")
    writer.writeheader()
    for result, difference in zip(
        comparison.standings, figures.from_baseline(comparison), strict=True
    ):
        writer.writerows(_task(result, task) for task in comparison.tasks)
        writer.writerow(_total(result, axes) | _difference(difference))
    return out.getvalue()


def _task(result: RecipeResult, task: str) -> dict[str, str]:
    found = result.tasks.get(task)
    named = {"recipe": result.recipe, "task": task}
    return named | (_interval("score", found) if found else {})


def _total(result: RecipeResult, axes: Sequence[Axis]) -> dict[str, str]:
    costs = {one.name: _number(one.cost(result)) for one in axes}
    on = {f"frontier_{one.name}": str(int(one.name in result.frontier)) for one in axes}
    return {
        "recipe": result.recipe,
        "questions": str(result.questions),
        **_interval("score", result.score),
        "read_tokens": _number(result.read),
        "unparsable": _number(result.unparsable),
        "unscored": _number(result.unscored),
        "published": result.published.source,
        "changed": " ".join(result.published.changed),
        **_answers(result),
        **_sure(result),
        **costs,
        **on,
    }


def _answers(result: RecipeResult) -> dict[str, str]:
    chances, drawn = result.chances, result.drawn
    if chances is None or drawn is None:
        return {}
    values = (
        *(chances.worst, chances.random, chances.oracle, drawn.drawn, drawn.most or math.nan),
        *(saved(result), drawn.spread, drawn.right, drawn.wrong),
    )
    return dict(zip(_ANSWERS, map(_number, values), strict=True))


def _sure(result: RecipeResult) -> dict[str, str]:
    if not result.confidence:
        return {}
    one = result.confidence[0]
    return {
        "confidence": one.method,
        "calibrated": str(one.calibrated),
        **_interval("auroc", one.auroc),
        **_interval("ece", one.error),
        "abstain_below": _number(one.level),
        "answered": _number(one.answered),
        "score_answered": _number(one.score_answered),
    }


def _difference(found: Difference | None) -> dict[str, str]:
    if found is None:
        return {}
    return {
        "baseline": found.against,
        **_interval("difference", found.interval),
        "p_value": _number(found.p_value),
        "paired_questions": str(found.questions),
        "wins": str(found.wins),
        "losses": str(found.losses),
        "detectable": _number(found.detectable),
    }


def _interval(name: str, interval: Interval) -> dict[str, str]:
    return {
        name: _number(interval.value),
        f"{name}_low": _number(interval.low),
        f"{name}_high": _number(interval.high),
    }


def _number(value: float) -> str:
    return repr(float(value)) if math.isfinite(value) else ""

"""`--spend auto`: a recipe whose answers are sampled for as long as they pay.

The recipe becomes that of the strategy `spend`. Its expected success rates come from stored plain
answers of the same models, if the results file holds enough of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from forethought import catalogue
from forethought.contracts.errors import UnknownNameError, UsageError
from forethought.contracts.questions import Sample
from forethought.contracts.spelling import Call
from forethought.recipes.recipe import Recipe

WAYS = ("auto",)
"""Values of --spend."""
LEAST_QUESTIONS = 20
"""Stored questions from which a success rate is used."""
_SURE = 0.02
"""Rates are no closer to 0 and 1 than this."""


def spending(
    recipe: Recipe,
    how: str = "auto",
    *,
    value: str = "",
    penalty: float | None = None,
    samples: Sequence[Sample] = (),
) -> Recipe:
    """The recipe that samples by expected net value; `samples` are stored answers."""
    if how not in WAYS:
        raise UnknownNameError.among("spending rule", how, WAYS)
    if recipe.search or recipe.samples > 1:
        stated = recipe.search or f"{recipe.samples} samples"
        raise UsageError(
            f"--spend chooses how many answers to sample, and {stated} are stated too",
            "leave one of them out",
        )
    drafted = recipe.draft != "self"
    settings: dict[str, Any] = {
        **({"value": value} if value else {}),
        **({"penalty": penalty} if penalty else {}),
        **({"draft": True} if drafted else {}),
        **({"verified": True} if recipe.scorer else {}),
        **_rate("success", recipe.model, samples),
        **(_rate("draft_success", recipe.draft, samples) if drafted else {}),
    }
    built = catalogue.build(str(Call("spend", settings)), "strategies")
    return replace(recipe, search=catalogue.spelled(built))


def _rate(name: str, model: str, samples: Sequence[Sample]) -> dict[str, float]:
    """The mean score of the model's stored plain answers, as a setting; empty if they are few."""
    scores = [one.score for one in samples if _answered_by(one.recipe, model)]
    questions = {(one.task, one.question) for one in samples if _answered_by(one.recipe, model)}
    if len(questions) < LEAST_QUESTIONS:
        return {}
    return {name: round(min(max(sum(scores) / len(scores), _SURE), 1 - _SURE), 2)}


def _answered_by(label: str, model: str) -> bool:
    """Whether a stored recipe is the plain model, by its spelling before any other setting."""
    return label.split(" ")[0] == Recipe(model=model).spelling

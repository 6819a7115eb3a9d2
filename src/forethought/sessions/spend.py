"""`--spend auto`: a recipe whose answers are sampled for as long as they pay.

The recipe becomes that of the strategy `spend`. The ways to answer are the model, the prompt that
the recipe's methods shorten, and its draft. Their expected success rates come from stored plain
answers, if the results file holds enough of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from forethought import catalogue
from forethought.contracts.errors import UnknownNameError, UsageError
from forethought.contracts.questions import Sample
from forethought.contracts.spelling import Call
from forethought.recipes.recipe import Recipe, is_remote

WAYS = ("auto",)
"""Values of --spend."""
LEAST_QUESTIONS = 20
"""Stored questions from which a success rate is used."""
Answered = tuple[str, str]
"""A task and one of its questions."""
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
    if recipe.temperature == 0:
        raise UsageError(
            "--spend samples answers, which are all equal at temperature 0",
            "leave out the temperature",
        )
    drafted = recipe.draft != "self"
    shortened = bool(recipe.approximate) and not is_remote(recipe.model)
    settings: dict[str, Any] = {
        **({"value": value} if value else {}),
        **({"penalty": penalty} if penalty else {}),
        **({"draft": True} if drafted else {}),
        **({"verified": True} if recipe.scorer else {}),
        **_rates(recipe, samples, drafted=drafted, shortened=shortened),
        **({"shortened": True} if shortened else {}),
    }
    built = catalogue.build(str(Call("spend", settings)), "strategies")
    return replace(recipe, search=catalogue.spelled(built))


def _rates(
    recipe: Recipe, samples: Sequence[Sample], *, drafted: bool, shortened: bool
) -> dict[str, float]:
    """The expected success rates, as settings; without those that too few questions show.

    The whole and the shortened prompt are compared on the questions that both answered.
    """
    plain = Recipe(recipe.model, recipe.draft, recipe.approximate)
    whole = _scores(samples, Recipe(recipe.model))
    short = _scores(samples, plain, replace(plain, draft="self"))
    both = whole.keys() & short.keys() if shortened else set[Answered]()
    if enough := len(both) >= LEAST_QUESTIONS:
        whole, short = ({one: held[one] for one in both} for held in (whole, short))
    rates = {
        "success": _mean(whole),
        "draft_success": _mean(_scores(samples, Recipe(recipe.draft))) if drafted else None,
        "shortened_success": _mean(short) if enough else None,
    }
    return {name: rate for name, rate in rates.items() if rate is not None}


def _scores(samples: Sequence[Sample], *recipes: Recipe) -> dict[Answered, list[float]]:
    """The scores of the stored answers of plain recipes, by question.

    A stored label is the recipe's spelling before its other settings.
    """
    found = defaultdict[Answered, list[float]](list)
    spelled = {one.spelling for one in recipes}
    for one in samples:
        if one.recipe.partition(" --")[0] in spelled:
            found[one.task, one.question].append(one.score)
    return found


def _mean(scores: Mapping[Answered, Sequence[float]]) -> float | None:
    """The mean score of all answers, not too close to 0 and 1; None if their questions are few."""
    if len(scores) < LEAST_QUESTIONS:
        return None
    every = [one for answers in scores.values() for one in answers]
    return round(min(max(sum(every) / len(every), _SURE), 1 - _SURE), 2)

"""Recipes as a comparison names them: methods on one model, at several budgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

from forethought import catalogue
from forethought.contracts import spelling
from forethought.contracts.errors import UsageError
from forethought.contracts.parameters import Amount
from forethought.models.sources.wheel import WHEEL_MODELS
from forethought.recipes.recipe import AUTO, Recipe
from forethought.recipes.validation import check_search

EXACT = "exact"


def recipe_grid(names: Sequence[str], base: Recipe, keeps: Sequence[Amount] = ()) -> list[Recipe]:
    """The recipes that `names` stand for, in order, each once.

    A name is `exact`, or a method or several joined by + with or without a draft of their own,
    which go on top of `base`, or a whole recipe that begins with another model; then, behind
    an @, a strategy, and its scorer behind another. A strategy alone is one on top of `base`.
    Where a method's `keep` is left open, there is one recipe for each of `keeps`. The budget
    of `base` limits searches; plain answers have none.
    """
    found = [recipe for name in names for recipe in _recipes(name, base, keeps)]
    if keeps and not any(_has(recipe, keeps) for recipe in found):
        raise UsageError(
            "no method takes the budget of --keep", "name one that leaves its keep open"
        )
    if base.budget and not any(recipe.search for recipe in found):
        raise UsageError(
            "nothing searches that --budget could limit",
            "name a strategy, or limit answers with --max-tokens",
        )
    return list(dict.fromkeys(found))


def _has(recipe: Recipe, keeps: Sequence[Amount]) -> bool:
    """Whether a method of the recipe has one of these budgets."""
    built = [catalogue.build(text) for text in recipe.approximate]
    return any(getattr(method, "keep", None) in keeps for method in built)


def _recipes(name: str, base: Recipe, keeps: Sequence[Amount]) -> list[Recipe]:
    plain, *searching = spelling.split(name, "@") or [""]
    if _is_strategy(plain):
        plain, searching = "", [plain, *searching]
    if not searching:
        under = replace(base, budget="")
        return [_named_for_what_it_does(recipe) for recipe in _plain(plain, under, keeps)]
    if len(searching) > 2:
        raise UsageError(f"{name!r} has too many @", "write it METHODS@STRATEGY@SCORER")
    search, scorer = (*searching, "")[:2]
    under = replace(base, search="", scorer="")
    found = _plain(plain, under, keeps) if plain else [under]
    sought = [replace(recipe, search=search, scorer=scorer) for recipe in found]
    for recipe in sought:
        check_search(recipe)
    return [_named_for_what_it_does(recipe) for recipe in sought]


def _is_strategy(part: str) -> bool:
    name = part.partition("(")[0].strip().lower().replace("_", "-")
    return name in catalogue.files("strategies")


def _plain(name: str, base: Recipe, keeps: Sequence[Amount]) -> list[Recipe]:
    if name.strip() == EXACT:
        return [replace(base, approximate=(), search="", scorer="")]
    parts = spelling.split(name, "+")
    if not parts:
        raise UsageError("a contender has no name", "name a method, or `exact`")
    if parts == [AUTO]:
        raise UsageError("auto chooses for one prompt, by what was compared", "name the methods")
    if _is_model(parts[0]):
        whole = Recipe.parse(name)
        recipe = replace(base, model=whole.model, draft=whole.draft)
        methods = list(whole.approximate)
    else:
        added = Recipe.parse("+".join([spelling.quoted(base.model), *parts]))
        recipe = replace(base, draft=added.draft if added.draft != "self" else base.draft)
        methods = [part for part in parts if not part.startswith("draft(")]
    return [
        replace(recipe, approximate=(*base.approximate, *kept)) for kept in _kept(methods, keeps)
    ]


def _named_for_what_it_does(recipe: Recipe) -> Recipe:
    """The recipe without a draft that neither a method nor its strategy runs."""
    drafting = recipe.drafts_answers or any(
        catalogue.build(text).uses_draft() for text in recipe.approximate
    )
    return recipe if drafting else replace(recipe, draft=Recipe.draft)


def _is_model(part: str) -> bool:
    name = spelling.unquoted(part)
    return name in WHEEL_MODELS or "/" in name or name.endswith(".gguf") or Path(name).exists()


def _kept(methods: list[str], keeps: Sequence[Amount]) -> list[list[str]]:
    """The methods at each budget, where the last of them that has one leaves it open."""
    for place, text in reversed(list(enumerate(methods))):
        call = spelling.parse(text)
        method = catalogue.find(call.name).load()
        if not any(item.name == "keep" for item in fields(method)):
            continue
        if "keep" in call.settings or not keeps:
            break
        calls = [spelling.Call(call.name, {**call.settings, "keep": keep}) for keep in keeps]
        return [[*methods[:place], str(one), *methods[place + 1 :]] for one in calls]
    return [methods]

"""Recipe grids: the recipes of a comparison, from methods on one model and several budgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

from forethought import catalogue
from forethought.contracts import spelling
from forethought.contracts.errors import UsageError
from forethought.contracts.parameters import Amount
from forethought.models.sources.wheel import WHEEL_MODELS
from forethought.recipes.published import unprotected
from forethought.recipes.recipe import Recipe, is_auto, is_remote
from forethought.recipes.validation import check_search

EXACT = "exact"


def recipe_grid(
    names: Sequence[str],
    base: Recipe,
    keeps: Sequence[Amount] = (),
    *,
    as_published: bool = False,
) -> list[Recipe]:
    """Expand `names` into recipes, in order and without duplicates.

    A name is `exact`, or methods joined by + (with or without a draft) that apply to `base`, or
    a whole recipe that begins with another model. A strategy may follow an @, and its scorer
    another @. A strategy alone applies to `base`. A method that leaves `keep` open yields one
    recipe for each of `keeps`. The budget of `base` limits searches only. With `as_published`,
    every recipe whose methods have `protect` is followed by its form without it.
    """
    found = [recipe for name in names for recipe in _recipes(name, base, keeps)]
    if as_published:
        found = [form for recipe in found for form in (recipe, _as_published(recipe))]
    if keeps and not any(_uses(recipe, keeps) for recipe in found):
        raise UsageError(
            "no method takes the budget of --keep", "name one that leaves its keep open"
        )
    if base.budget and not any(recipe.search for recipe in found):
        raise UsageError(
            "--budget limits searches, and no recipe has one",
            "name a strategy, or limit answers with --max-tokens",
        )
    return list(dict.fromkeys(found))


def _as_published(recipe: Recipe) -> Recipe:
    return replace(recipe, approximate=tuple(map(unprotected, recipe.approximate)))


def _uses(recipe: Recipe, keeps: Sequence[Amount]) -> bool:
    """Whether a method of the recipe uses one of these budgets."""
    built = [catalogue.build(text) for text in recipe.approximate]
    return any(getattr(method, "keep", None) in keeps for method in built)


def _recipes(name: str, base: Recipe, keeps: Sequence[Amount]) -> list[Recipe]:
    plain, *searching = spelling.split(name, "@") or [""]
    if _is_strategy(plain):
        plain, searching = "", [plain, *searching]
    if not searching:
        under = replace(base, budget="")
        return [_without_unused_draft(recipe) for recipe in _plain(plain, under, keeps)]
    if len(searching) > 2:
        raise UsageError(f"{name!r} has too many @", "write it METHODS@STRATEGY@SCORER")
    search, scorer = (*searching, "")[:2]
    under = replace(base, search="", scorer="")
    found = _plain(plain, under, keeps) if plain else [under]
    searches = [replace(recipe, search=search, scorer=scorer) for recipe in found]
    for recipe in searches:
        check_search(recipe)
    return [_without_unused_draft(recipe) for recipe in searches]


def _is_strategy(part: str) -> bool:
    return _called(part) in catalogue.files("strategies")


def _called(part: str) -> str:
    return part.partition("(")[0].strip().lower().replace("_", "-")


def _plain(name: str, base: Recipe, keeps: Sequence[Amount]) -> list[Recipe]:
    if name.strip() == EXACT:
        return [replace(base, approximate=(), search="", scorer="")]
    parts = spelling.split(name, "+")
    if not parts:
        raise UsageError("a recipe has no name", "name a method, or `exact`")
    if any(map(is_auto, parts)):
        raise UsageError("auto chooses methods for one prompt at a time", "name the methods")
    if _is_model(parts[0]):
        whole = Recipe.parse(name)
        recipe = replace(base, model=whole.model, draft=whole.draft)
        methods = list(whole.approximate)
    else:
        added = Recipe.parse("+".join([spelling.quoted(base.model), *parts]))
        recipe = replace(base, draft=added.draft if added.draft != "self" else base.draft)
        methods = [part for part in parts if not part.startswith("draft(")]
    return [
        replace(recipe, approximate=(*base.approximate, *kept))
        for kept in _at_budgets(methods, keeps)
    ]


def _without_unused_draft(recipe: Recipe) -> Recipe:
    """The recipe, without its draft if neither a method nor the strategy runs it.

    The draft of a model on a server counts the tokens of every method.
    """
    if is_remote(recipe.model) and recipe.approximate:
        return recipe
    drafting = recipe.drafts_answers or any(
        catalogue.build(text).uses_draft() for text in recipe.approximate
    )
    return recipe if drafting else replace(recipe, draft=Recipe.draft)


def _is_model(part: str) -> bool:
    if "(" in part and _called(part) in catalogue.files("methods"):
        return False  # a slash may belong to a parameter
    name = spelling.unquoted(part)
    return name in WHEEL_MODELS or "/" in name or name.endswith(".gguf") or Path(name).exists()


def _at_budgets(methods: list[str], keeps: Sequence[Amount]) -> list[list[str]]:
    """The methods at each budget, applied to the last method with an open `keep`."""
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

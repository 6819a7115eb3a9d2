"""Validation of recipes before any model is loaded or asked."""

from __future__ import annotations

from forethought import catalogue
from forethought.contracts.errors import UsageError
from forethought.recipes.recipe import Recipe, is_remote


def check_search(recipe: Recipe) -> None:
    """Raise UsageError if a search lacks a draft or scorer, or has an option it does not use."""
    if recipe.search and recipe.automatic:
        raise UsageError("auto chooses for plain answers", "name a method, or leave out -s")
    if recipe.search and recipe.logprobs:
        raise UsageError(
            "--logprobs is for plain answers, and a search chooses its answer at the end",
            "leave it out: --json shows the log-probability of each candidate",
        )
    if recipe.drafts_answers and recipe.draft == Recipe.draft:
        raise no_draft()
    if recipe.shortens_aside and not recipe.approximate:
        raise UsageError(
            f"{recipe.search} compares a shortened prompt with the whole one, and no method "
            "shortens it",
            "name one with -x, such as bm25(keep=0.25)",
        )
    if recipe.search:
        ranks = catalogue.build(recipe.search, "strategies").scores
        if ranks and not recipe.scorer:
            raise no_scorer()
        if recipe.scorer and not ranks:
            raise UsageError(
                f"{recipe.search} asks no scorer, and {recipe.scorer} is named",
                "leave it out; votes that scores weigh are best-of-n(pick=vote)",
            )


def check_money(recipe: Recipe) -> None:
    """Raise UsageError for a budget in dollars if all of the recipe's models are local."""
    if recipe.limit.usd is not None and not recipe.judge:
        raise UsageError(
            "a model that runs here has no price",
            "state the budget as tokens, seconds or FLOPs, such as 500tok, 2s or 1TFLOP",
        )


def no_draft() -> UsageError:
    """The error of a cascade without a smaller model."""
    return UsageError(
        "the search asks a smaller model first, and none is named besides the model itself",
        "name the smaller one with -d, and with -m a larger one that runs here too",
    )


def no_scorer() -> UsageError:
    """The error of a ranking search without a scorer."""
    return UsageError(
        "the search ranks candidates by a scorer, and none is named",
        "name one with --scorer, or in a recipe behind an @, such as best-of-n@likelihood; "
        "see: forethought list scorers",
    )


def check_together(recipe: Recipe) -> None:
    """Raise UsageError for a recipe that a batch cannot run."""
    if recipe.automatic:
        raise UsageError("auto chooses methods for one prompt at a time", "compare methods by name")
    if recipe.abstain_below:
        raise UsageError(
            f"{recipe.spelling}: a withheld answer has no score, and a batch scores answers",
            "leave out abstain_below; tune --calibrate says how right the surest answers are",
        )
    limit = recipe.limit
    if limit.seconds is not None:
        raise UsageError(
            f"{recipe.spelling}: a time limit does not apply to a batch of questions",
            "state the budget as tokens or FLOPs, or ask one question at a time",
        )
    if is_remote(recipe.model):
        return
    if not recipe.plain:
        check_money(recipe)
    elif recipe.samples > 1 or limit.flops or limit.usd:
        raise UsageError(
            f"{recipe.spelling}: a batch of plain answers has one sample for each question, and "
            "takes only budgets of tokens",
            "state the budget as tokens, such as 500tok, or ask one question at a time",
        )

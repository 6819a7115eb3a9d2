"""Which recipes can be asked many questions at once."""

from __future__ import annotations

from forethought.contracts.errors import UsageError
from forethought.runs.recipe import Recipe, check_money, is_remote


def check_together(recipe: Recipe) -> None:
    """Raise UsageError for a recipe that is for one question at a time."""
    if recipe.automatic:
        raise UsageError(
            "auto chooses for one prompt, by what was compared", "compare methods by name"
        )
    limit = recipe.limit
    if limit.seconds is not None:
        raise UsageError(
            f"{recipe.spelling}: a limit of time is no limit where many are asked at once",
            "state the budget as tokens or FLOPs, or ask alone",
        )
    if is_remote(recipe.model):
        return
    if recipe.search:
        check_money(recipe)
    elif recipe.samples > 1 or limit.flops or limit.usd:
        raise UsageError(
            f"{recipe.spelling}: answers that are asked for together have one sample each, and "
            "no budget but one of tokens",
            "state a budget as tokens, such as 500tok, or ask alone",
        )

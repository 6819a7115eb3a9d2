"""Checks that a recipe fits a model on a server, and turns it into parameters and prices."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from forethought.backends.openai.protocol import CompletionParams
from forethought.contracts.errors import UsageError
from forethought.recipes.recipe import Recipe, is_remote


def check_remote(recipe: Recipe) -> None:
    """Raise UsageError for settings that need a local model."""
    if recipe.approximate or recipe.draft != Recipe.draft:
        raise UsageError(
            f"{recipe.spelling}: methods need a local model, and this model runs on a server",
            "shorten the text first with: forethought compress",
        )
    if recipe.logprobs or recipe.keep_stop or recipe.weights != Recipe.weights:
        raise UsageError(
            "--logprobs, --keep-stop and --weights need a local model",
            "leave them out, or use a local model",
        )


def params_of(recipe: Recipe, system: str | None = None) -> CompletionParams:
    """The recipe's sampling parameters."""
    return CompletionParams(
        temperature=recipe.warmth,
        top_k=recipe.top_k,
        top_p=recipe.top_p,
        min_p=recipe.min_p,
        stop=recipe.stop,
        system=system,
    )


def check_priced(recipes: Iterable[Recipe], prices: Collection[str]) -> None:
    """Raise UsageError for prices of models that neither answer nor judge on a server."""
    places = [place for one in recipes for place in (one.model, one.judge) if is_remote(place)]
    if prices and not places:
        raise UsageError(
            "local models have no price", "leave out --price, or name a server with -m"
        )
    asked = {place.partition("#")[2] for place in places}
    # An address without a model name may stand for any model of the server.
    if "" not in asked and (others := set(prices) - asked - {""}):
        raise UsageError(
            f"--price names {', '.join(sorted(others))}, which no request goes to",
            f"state one of {', '.join(sorted(asked))}, such as --price '{min(asked)}=0.15/0.6'",
        )

"""Checks that a recipe fits a model on a server, and turns it into parameters and prices."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from forethought import catalogue
from forethought.backends.openai.endpoint import endpoints_of
from forethought.backends.openai.protocol import CompletionParams
from forethought.contracts.errors import UsageError
from forethought.contracts.neurons import ANY_NEURONS
from forethought.models.chat.message import Message
from forethought.recipes.recipe import Recipe, is_remote


def check_remote(recipe: Recipe) -> None:
    """Raise UsageError for settings that need a local model."""
    if recipe.automatic:
        raise UsageError(
            "auto chooses methods by the costs of a local model, and this model runs on a server",
            f"name a method of prompt compression with -x: {_compressing()}",
        )
    if is_remote(recipe.draft):
        raise UsageError(
            f"the draft {recipe.draft} is a server", "a draft runs here: name a local model with -d"
        )
    for name in recipe.approximate:
        _check_method(name, recipe)
    if recipe.logprobs or recipe.keep_stop:
        raise UsageError(
            "--logprobs and --keep-stop need a local model", "leave them out, or use a local model"
        )
    if recipe.weights != Recipe.weights and not recipe.approximate:
        raise UsageError(
            "--weights needs a local model, and no method runs one here",
            "leave it out, or use a local model",
        )


def _check_method(name: str, recipe: Recipe) -> None:
    method = catalogue.build(name)
    if method.evicts() or method.thins_attention() or method.cache_bits() < 16:
        raise UsageError(
            f"{name} works on the KV cache of a local model, and {recipe.model} runs on a server",
            f"a server gets a shorter prompt: {_compressing()}",
        )
    if method.active_neurons(ANY_NEURONS) is not None:
        raise UsageError(
            f"{name} computes part of a local model's MLP, and {recipe.model} runs on a server",
            f"leave it out; a server gets a shorter prompt: {_compressing()}",
        )
    if method.drafts_answers():
        raise UsageError(
            f"{name} drafts for a local model, and {recipe.model} runs on a server",
            f"leave it out; a server gets a shorter prompt: {_compressing()}",
        )
    if isinstance(getattr(method, "keep", None), str):
        raise UsageError(
            f"{name}: bytes of a KV cache on a server cannot be counted here",
            "state keep as a number of tokens, or as a share of the prompt",
        )
    if method.uses_draft() and recipe.draft == Recipe.draft:
        raise UsageError(
            f"{name} asks a draft, and {recipe.model} runs on a server, so it cannot draft itself",
            f"name a model that runs here with -d, such as -d {Recipe.model}",
        )


def _compressing() -> str:
    """The names of the methods that shorten prompts."""
    files = catalogue.files("methods").values()
    return ", ".join(sorted(one.name for one in files if one.family == "prompt-compression"))


def stand_in(recipe: Recipe) -> str:
    """The local model that counts and selects the tokens of a server's prompts."""
    return Recipe.model if recipe.draft == Recipe.draft else recipe.draft


def params_of(
    recipe: Recipe, system: str | None = None, history: tuple[Message, ...] = ()
) -> CompletionParams:
    """The recipe's sampling parameters, and the messages before the question."""
    return CompletionParams(
        temperature=recipe.warmth,
        top_k=recipe.top_k,
        top_p=recipe.top_p,
        min_p=recipe.min_p,
        stop=recipe.stop,
        system=system,
        history=history,
    )


def check_priced(recipes: Iterable[Recipe], prices: Collection[str]) -> None:
    """Raise UsageError for prices of models that neither answer nor judge on a server."""
    places = [place for one in recipes for place in (one.model, one.judge) if is_remote(place)]
    if prices and not places:
        raise UsageError(
            "local models have no price", "leave out --price, or name a server with -m"
        )
    asked = {endpoints_of(place)[0].model for place in places}
    # An address without a model name may stand for any model of the server.
    if "" not in asked and (others := set(prices) - asked - {""}):
        raise UsageError(
            f"--price names {', '.join(sorted(others))}, which no request goes to",
            f"state one of {', '.join(sorted(asked))}, such as --price '{min(asked)}=0.15/0.6'",
        )

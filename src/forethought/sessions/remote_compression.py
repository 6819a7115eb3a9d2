"""Loads the draft that shortens the prompts of a model on a server."""

from __future__ import annotations

from collections.abc import Callable

from forethought.backends.openai.compression import Compression
from forethought.backends.openai.recipe_check import stand_in
from forethought.engine.meter import Clock
from forethought.models.chat.message import Message
from forethought.models.model import Model
from forethought.prefill.draft_model import DraftResults
from forethought.recipes.recipe import Recipe
from forethought.sessions.session import built_methods

Loader = Callable[[str, str], Model]
"""(name, weights) to a model."""


def compression_of(
    recipe: Recipe,
    load: Loader,
    clock: Clock,
    system: str | None = None,
    results: DraftResults | None = None,
    history: tuple[Message, ...] = (),
) -> Compression | None:
    """The recipe's methods with their draft; None for a recipe that sends whole prompts.

    `results` are results of drafts to share. `history` holds the messages between the
    system message and the question.
    """
    if not recipe.approximate:
        return None
    draft = load(stand_in(recipe), recipe.weights)
    shared = {} if results is None else results
    methods = built_methods(recipe)
    return Compression(methods, draft, recipe.max_tokens, system, history, clock, shared)


def unused_draft(recipe: Recipe) -> tuple[str, ...]:
    """A note if a recipe names a draft and no method."""
    if recipe.approximate or recipe.draft == Recipe.draft:
        return ()
    return (f"the draft {recipe.draft} is not used: no method asks for one",)

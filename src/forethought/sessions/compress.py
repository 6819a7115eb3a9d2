"""Compresses a prompt to a shorter text, for any model to answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from forethought.contracts.errors import UsageError
from forethought.contracts.neurons import ANY_NEURONS
from forethought.contracts.records import Kept
from forethought.engine.meter import Meter
from forethought.models.chat.prompt import chat_prompt
from forethought.prefill.prepare import Preparation
from forethought.recipes.recipe import Recipe, is_remote
from forethought.sessions.session import Progress, Session, built_methods


@dataclass(frozen=True)
class Compressed:
    """The compressed document, and the question after it."""

    text: str
    document: dict[str, Any]
    """Plain JSON values: text, recipe, kept, cost and notes."""


def compress(
    question: str,
    recipe: Recipe | str,
    *,
    document: str = "",
    progress: Progress | None = None,
) -> Compressed:
    """Compress a document for a question by a recipe's methods; no answer is decoded.

    The recipe's model counts the tokens, and it drafts if the recipe names no other draft. Raises
    UsageError for a method that works on the KV cache or on the decode of an answer, because no
    text can show its effect.
    """
    chosen = Recipe.parse(recipe) if isinstance(recipe, str) else recipe
    check_compresses(chosen)
    return compress_with(Session.open(chosen, progress), question, document)


def compress_with(session: Session, question: str, document: str) -> Compressed:
    """As `compress`, with the recipe and the models of a session."""
    chosen = session.recipe
    target, meter, start = session.target, Meter(session.clock), session.clock()
    prompt = chat_prompt(target.tokenizer, target.template, question, document)
    models = session.methods, target, session.draft
    prepared = Preparation(*models, chosen.max_tokens).prepare(prompt, meter)
    short = prepared.compressed()
    places = short.origins or tuple(range(len(short)))
    kept = Kept(len(short), len(prompt), places)
    return Compressed(
        short.content_text,
        {
            "text": short.content_text,
            "recipe": chosen.label,
            "kept": {"prompt_tokens": kept.prompt_tokens, "of": kept.of, "positions": places},
            "cost": meter.cost(session.clock() - start).document(),
            "notes": list(prepared.notes),
        },
    )


def check_compresses(recipe: Recipe) -> None:
    """Raise UsageError if no text can show the effect of the recipe's methods."""
    if is_remote(recipe.model):
        raise UsageError(
            "a model on a server exposes neither its tokens nor its attention",
            "name a model that runs here; any model can answer the shorter text",
        )
    methods = built_methods(recipe)
    if recipe.automatic:
        raise UsageError(
            "auto chooses methods for an answer, and compress decodes none", "name a method with -x"
        )
    for name, method in methods:
        if method.evicts() or method.thins_attention() or method.cache_bits() < 16:
            raise UsageError(
                f"{name} works on the cache, which no text can show",
                "see: forethought list prompt-compression",
            )
        if method.drafts_answers() or method.active_neurons(ANY_NEURONS) is not None:
            raise UsageError(
                f"{name} works on the decoding of an answer, and compress decodes none",
                "see: forethought list prompt-compression",
            )
    # A draft's sparse prefill shortens nothing without another method.
    if all(method.thins_draft() for _, method in methods):
        raise UsageError(
            "the recipe has no method that shortens the prompt", "name a method with -x"
        )

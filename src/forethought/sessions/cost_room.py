"""Requests whose cost can be predicted, and that a run would refuse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from forethought import catalogue
from forethought.contracts.errors import BudgetTooSmallError
from forethought.contracts.records import Prompt
from forethought.cost.flops import entry_bytes
from forethought.models.decoder.config import DecoderConfig
from forethought.prefill.byte_budgets import in_entries
from forethought.recipes.recipe import Recipe
from forethought.sessions.cost_estimate import CostEstimate
from forethought.sessions.cost_stages import CostRequest

USUAL_PROTECTED = 24, 8
"""Tokens that usually stay before and behind a document: those of a chat template with a system
prompt, and of a question of a few words."""


def with_room_notes(
    found: CostEstimate, recipe: Recipe, target: DecoderConfig, request: CostRequest
) -> CostEstimate:
    """The estimate, with notes on what a run would refuse or cut short.

    Raises BudgetTooSmallError if a run would refuse every prompt of this length.
    """
    notes = (*_budget_notes(recipe, target, request), *_context_notes(found, request))
    return replace(found, notes=(*found.notes, *notes))


def _budget_notes(recipe: Recipe, target: DecoderConfig, request: CostRequest) -> Iterator[str]:
    """Notes on budgets that the protected tokens of a usual prompt exceed."""
    methods = in_entries(
        [(text, catalogue.build(text)) for text in recipe.approximate],
        entry_bytes(target.shape),
        len(target.shape.layers),
    )
    length = request.prompt
    for name, method in methods:
        method.check_room(_prompt(length, 0, 0))
        try:
            method.check_room(_prompt(length, *USUAL_PROTECTED))
        except BudgetTooSmallError as error:
            yield (
                f"{name}: a run refuses this budget for most prompts: the chat template and "
                f"a short question take about {sum(USUAL_PROTECTED)} tokens; {error.hint}"
            )
        length = method.reads(length)


def _prompt(length: int, before: int, behind: int) -> Prompt:
    """A prompt with so many protected tokens at its start and at its end."""
    places = {*range(before), *range(length - behind, length)}.intersection(range(length))
    return Prompt(tuple(range(length)), ((0, 0),) * length, "", frozenset(places))


def _context_notes(found: CostEstimate, request: CostRequest) -> Iterator[str]:
    """Notes on a prompt or an answer beyond the model's context."""
    context = found.capacity.model_context
    if found.prompt >= context:
        yield (
            f"a run refuses this prompt: {found.prompt:,} tokens of it are prefilled, but the "
            f"model holds {context:,}, the answer included"
        )
    elif (room := context - found.prompt) < request.answer:
        yield f"the model's context has room for {room:,} tokens of the answer"

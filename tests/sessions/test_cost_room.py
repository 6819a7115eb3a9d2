"""What `forethought cost` says of requests that a run would refuse or cut short."""

from __future__ import annotations

import pytest

from forethought.contracts.errors import BudgetTooSmallError
from forethought.cost.hardware import TABLE
from forethought.cost.precision import Precision
from forethought.cost.roofline import Machine
from forethought.recipes.recipe import Recipe
from forethought.sessions.cost_estimate import CostEstimate, estimate
from forethought.sessions.cost_room import with_room_notes
from forethought.sessions.cost_stages import CostRequest
from tests.cost.fixtures import config

SMALL = config("smollm2")
"""Holds 8,192 tokens."""


def predicted(prompt: int, answer: int = 8, *methods: str) -> CostEstimate:
    recipe, request = Recipe(approximate=methods), CostRequest(prompt, answer)
    machine = Machine(TABLE["h100"], Precision())
    found = estimate(recipe, SMALL, None, request, machine)
    return with_room_notes(found, recipe, SMALL, request)


def test_no_sequence_is_longer_than_the_model_holds() -> None:
    found = predicted(8191)

    assert found.capacity.context == found.capacity.model_context == 8192
    assert found.capacity.requests > 1
    assert predicted(8192).capacity.requests == 0


def test_a_prompt_beyond_the_context_is_said_to_be_refused_unless_it_is_shortened() -> None:
    assert "refuses this prompt: 8,192 tokens" in predicted(8192).notes[-1]
    assert predicted(100_000, 8, "truncate(keep=4096)").notes == ()
    assert predicted(8190, 8).notes == ("the model's context has room for 2 tokens of the answer",)
    assert predicted(8184, 8).notes == ()


@pytest.mark.parametrize("method", ["bm25", "truncate", "specpc", "streaming-llm(sinks=0)"])
def test_a_budget_below_a_usual_template_and_question_is_noted(method: str) -> None:
    joint = "," if "(" in method else "("
    few, many = (f"{method.rstrip(')')}{joint}keep={keep})" for keep in (31, 64))

    assert any("a run refuses this budget" in note for note in predicted(4096, 8, few).notes)
    assert not any("refuses" in note for note in predicted(4096, 8, many).notes)
    bare = f"{few[:-1]}, protect=false)"
    assert not any("refuses" in note for note in predicted(4096, 8, bare).notes)


def test_a_budget_that_no_prompt_fits_is_refused() -> None:
    with pytest.raises(BudgetTooSmallError, match="snapkv keeps 5 entries"):
        predicted(4096, 8, "snapkv(keep=5)")
    # Nothing is dropped from a short prompt.
    assert not any("refuses" in note for note in predicted(5, 8, "snapkv(keep=5)").notes)

"""Costs of methods that a run skips, and the drafts that are proposed for them."""

from __future__ import annotations

import pytest

from forethought.cost.flops import causal_pairs
from forethought.cost.hardware import TABLE
from forethought.cost.precision import Precision
from forethought.cost.roofline import Machine
from forethought.models.known_configs import known_config, smaller_relatives
from forethought.recipes.recipe import Recipe
from forethought.sessions.cost_alternatives import alternatives
from forethought.sessions.cost_stages import CostRequest
from tests.cost.fixtures import config

MACHINE = Machine(TABLE["h100"], Precision())


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("qwen2.5-1.5b", "qwen2.5-0.5b"),
        ("qwen-coder-1.5b", "qwen-coder-0.5b"),
        ("qwen2.5-7b", "qwen2.5-0.5b"),
        ("llama-3.1-8b", "llama-3.2-1b"),
        ("smollm2-1.7b", "smollm2-360m"),
    ],
)
def test_the_first_relative_of_a_model_is_of_its_series(name: str, first: str) -> None:
    found = smaller_relatives(name)

    assert found[0] == first
    own = known_config(name)
    assert own is not None
    for other in map(known_config, found):
        assert other is not None
        assert other["hidden_size"] < own["hidden_size"]


def test_the_smallest_model_and_an_unknown_one_have_no_relative() -> None:
    assert smaller_relatives("qwen2.5-0.5b") == smaller_relatives("./folder") == []


def test_a_method_applied_anyway_costs_its_draft_by_hand() -> None:
    sizes, recipe = config("llama-2-7b"), Recipe("llama-2-7b", approximate=("specpc(keep=512)",))

    own, *others = alternatives(recipe, sizes, None, CostRequest(2048, 1), MACHINE)

    # The draft computes neither logits nor its last attention; layers 8 to 31 score with 64 queries
    # in blocks of 16, each over the keys up to its last query.
    layers, wide = 6_476_005_376, 4096
    pairs = causal_pairs(0, 2048)
    rows = 16 * (2000 + 2016 + 2032 + 2048)
    draft = 2 * layers * 2048 + 4 * wide * 31 * pairs + 2 * wide * 24 * rows
    prefill = 2 * layers * 512 + 4 * wide * 32 * causal_pairs(0, 512) + 2 * 131_072_000
    assert own.estimate.work.flops == draft + prefill
    assert others == []  # no smaller Llama 2


def test_the_proposed_draft_is_the_fastest_that_holds_the_prompt() -> None:
    recipe = Recipe("smollm2-1.7b", approximate=("specpc(keep=512)",))

    found = alternatives(recipe, config("smollm2-1.7b"), None, CostRequest(8000, 64), MACHINE)
    too_long = alternatives(recipe, config("smollm2-1.7b"), None, CostRequest(9000, 64), MACHINE)

    assert [one.draft for one in found] == ["", "smollm2"]
    assert [one.draft for one in too_long] == [""]

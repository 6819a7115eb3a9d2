"""The estimate against the engine's meter, on tiny models that run."""

from __future__ import annotations

import pytest

from forethought.cost.hardware import TABLE
from forethought.cost.precision import Precision
from forethought.cost.roofline import Machine
from forethought.recipes.recipe import Recipe
from forethought.sessions.cost_estimate import CostEstimate, Request, estimate
from tests.sessions.tiny_session import DRAFTS, TARGET, below_full_budget, run

WIDE = Precision(prefill=64, decode=64, head=64, cache=64, activations=64)
"""Tiny models compute in float64."""
MACHINE = Machine(TABLE["h100"], WIDE)


def estimated(found: dict, draft: str, *methods: str) -> CostEstimate:
    recipe = Recipe(model="target", draft=draft, approximate=methods)
    cost, prompt = found["cost"], found["kept"]["of"]
    own = None if draft == "self" else DRAFTS[draft].network.config
    request = Request(prompt, cost["output_tokens"])
    return estimate(recipe, TARGET.network.config, own, request, MACHINE)


EXACT = [
    ("self", ()),
    ("self", ("truncate(keep=120)",)),
    ("self", ("streaming-llm(keep=120)",)),
    ("self", ("snapkv(keep=120)",)),
    ("self", ("pyramidkv(keep=120)",)),
    ("self", ("ada-snapkv(keep=120)",)),
    ("self", ("h2o(keep=120, every=0)",)),
    ("self", ("random(keep=120)",)),
    ("same-tokens", ("specpc(keep=120, first_layer=1)",)),
    ("same-tokens", ("specpc(keep=120, first_layer=1)", "snapkv(keep=80)")),
    ("self", ("specpc-shallow(keep=120)",)),
    ("same-tokens", ("speckv(keep=120, lookahead=4)",)),
]


@pytest.mark.parametrize(("draft", "methods"), EXACT, ids=str)
def test_flops_are_those_of_the_meter_and_bytes_nearly(draft: str, methods: tuple[str, ...]) -> None:
    found = run(draft, approximate=methods)
    assert found["finish"] == "length"

    work = estimated(found, draft, *methods).work

    assert work.flops == pytest.approx(found["cost"]["flops"], rel=1e-12)
    moved = work.weight_bytes + work.cache_bytes
    assert moved == pytest.approx(found["cost"]["bytes_moved"], rel=0.05)

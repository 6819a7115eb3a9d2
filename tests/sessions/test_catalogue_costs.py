"""Predicted FLOPs and bytes of every method of the catalogue against the engine's meter."""

from __future__ import annotations

from functools import cache

import pytest

from forethought import catalogue
from forethought.contracts.errors import UnsupportedModelError
from forethought.cost.hardware import TABLE
from forethought.cost.precision import Precision
from forethought.cost.roofline import Machine
from forethought.methods.kv_eviction.importance.reconstruction import text_span
from forethought.models.chat.prompt import chat_prompt, question_tokens
from forethought.recipes.recipe import Recipe
from forethought.sessions.cost_estimate import CostEstimate, KnownPrompt, estimate
from forethought.sessions.cost_stages import CostRequest
from tests.cost.fixtures import config
from tests.sessions.tiny_session import (
    DOCUMENT,
    DRAFTS,
    QUESTION,
    TARGET,
    below_full_budget,
    drafted,
    run,
    runnable,
)

MACHINE = Machine(
    TABLE["h100"], Precision(prefill=64, decode=64, head=64, cache=64, activations=64)
)
"""Tiny models compute in float64."""
ALONE = [
    (draft, (below_full_budget(name),)) for name, draft in drafted() if draft != "other-tokens"
]
"""Every method that runs on tiny models alone; a draft with other tokens writes its own number."""
ROUNDED = "ada-snapkv"
"""It rounds the budgets of heads."""


def uncounted(methods: tuple[str, ...]) -> bool:
    return any(catalogue.build(text).uncounted() for text in methods)


BY_SIZES = [one for one in ALONE if not uncounted(one[1]) and not one[1][0].startswith(ROUNDED)]
BY_TEXT = [one for one in ALONE if uncounted(one[1]) and "chunkkv" not in one[1][0]]
COMBINED = [
    ("self", ()),
    ("same-tokens", ("specpc(keep=120, first_layer=1)", "snapkv(keep=80)")),
    ("same-tokens", ("speckv(keep=120, lookahead=4)",)),
    ("self", ("h2o(keep=120)",)),
    ("self", ("h2o(keep=430, every=4)",)),
    ("self", ("tova(keep=120)",)),
    ("self", ("snapkv(keep=100, every=7, window=32)",)),
    ("self", ("keydiff(keep=120, every=5)",)),
    ("self", ("expected-attention(keep=120, every=3)",)),
    ("self", ("criticalkv(keep=120, every=4)",)),
    ("self", ("knorm(keep=120, whole_layers=0, every=4)",)),
    ("self", ("evict(keep=120, allocation=global)",)),
    ("self", ("evict(keep=120, allocation=adaptive)",)),
    ("self", ("evict(keep=120, importance=critical)",)),
    ("self", ("evict(keep=120, importance=own-lookahead)",)),
    ("self", ("snapkv(keep=100, every=7, window=32)", "griffin(density=0.3)")),
    ("self", ("sirius(kernel=4, threshold=0.0)",)),
    ("self", ("sirius(kernel=5, threshold=0.0, neurons=token)",)),
    ("self", ("laq(keep=120, window=0)",)),
    ("self", ("laq(keep=120, lookahead=0)",)),
    ("self", ("hyper-attention(block=7, sample=5, exact=30, dense_layers=1)",)),
    ("same-tokens", ("specpc-fused(keep=120)", "hyper-attention(exact=60, applies_to=draft)")),
    ("same-tokens", ("hyper-attention(exact=60)", "speckv(keep=120, lookahead=4)")),
]
NEARLY = [
    ("self", ("chunkkv(keep=120)",)),
    ("self", ("evict(keep=120, importance=far-heads, allocation=whole-heads)",)),
    ("self", ("evict(keep=120, importance=repeating-heads, allocation=whole-heads)",)),
    ("self", ("kvzip(keep=120, chunk=200)",)),
    ("self", ("kvzip-plus(keep=120, chunk=200)",)),
    ("self", ("ada-snapkv(keep=200)",)),
]
"""The text decides some entries, or the tokens of a quotation; `ada-snapkv` rounds its heads."""


@cache
def known() -> KnownPrompt:
    """The document of the prompt, and the tokens of a turn."""
    tokenizer, template = TARGET.tokenizer, TARGET.template
    prompt = chat_prompt(tokenizer, template, QUESTION, document=DOCUMENT)
    return KnownPrompt(
        text_span(prompt), lambda text: len(question_tokens(tokenizer, template, text))
    )


def estimated(found: dict, draft: str, methods: tuple[str, ...]) -> CostEstimate:
    recipe = Recipe(model="target", draft=draft, approximate=methods)
    own = None if draft == "self" else DRAFTS[draft].network.config
    request = CostRequest(found["kept"]["of"], found["cost"]["output_tokens"])
    return estimate(recipe, TARGET.network.config, own, request, MACHINE, known=known())


@pytest.mark.parametrize(("draft", "methods"), [*BY_SIZES, *COMBINED], ids=str)
def test_flops_are_those_of_the_meter_and_bytes_nearly(
    draft: str, methods: tuple[str, ...]
) -> None:
    found = run(draft, approximate=methods)
    assert found["finish"] == "length"

    work = estimated(found, draft, methods).work

    assert work.flops == pytest.approx(found["cost"]["flops"], rel=1e-12)
    # Tiny heads have few groups of quantised entries; `test_cost_estimate.py` has real ones.
    if "quantised-kv" not in str(methods):
        moved = work.weight_bytes + work.cache_bytes
        assert moved == pytest.approx(found["cost"]["bytes_moved"], rel=0.05)


@pytest.mark.parametrize(("draft", "methods"), NEARLY, ids=str)
def test_flops_that_the_text_decides_in_part_are_within_two_percent(
    draft: str, methods: tuple[str, ...]
) -> None:
    found = run(draft, approximate=methods)

    work = estimated(found, draft, methods).work

    assert work.flops == pytest.approx(found["cost"]["flops"], rel=0.02)


@pytest.mark.parametrize(("draft", "methods"), BY_TEXT, ids=str)
def test_methods_that_follow_the_text_cost_at_most_the_prediction_and_a_note_says_so(
    draft: str, methods: tuple[str, ...]
) -> None:
    found = run(draft, approximate=methods)

    predicted = estimated(found, draft, methods)

    assert predicted.work.flops >= found["cost"]["flops"]
    assert catalogue.build(methods[0]).uncounted() in predicted.notes


def test_every_method_is_compared() -> None:
    compared = {
        text.split("(")[0] for _, methods in [*BY_SIZES, *BY_TEXT, *NEARLY] for text in methods
    }

    assert compared == set(runnable())


def test_prompts_with_neurons_of_their_own_read_their_matrices_apart() -> None:
    def weights(method: str, batch: int) -> float:
        recipe = Recipe(model="target", approximate=(method,) if method else ())
        request = CostRequest(300, 40, batch)
        found = estimate(recipe, TARGET.network.config, None, request, MACHINE)
        return next(one.phase.work.weight_bytes for one in found.stages if one.name == "decode")

    assert weights("griffin", 4) == pytest.approx(4 * weights("griffin", 1))
    assert weights("", 4) == pytest.approx(weights("", 1))
    assert weights("griffin", 1) < weights("", 1)


def test_a_check_that_takes_no_sparse_token_is_paid_for_each_token() -> None:
    method = ("sirius(kernel=4, threshold=2.0)",)
    found = run("self", approximate=method, max_tokens=120)

    work = estimated(found, "self", method).work

    # The last checks of an answer are shorter than a kernel.
    assert not any("rejects" in note for note in estimated(found, "self", method).notes)
    assert work.flops == pytest.approx(found["cost"]["flops"], rel=0.02)


@pytest.mark.parametrize("method", ["griffin", "sirius"])
def test_neurons_of_a_prompts_own_take_memory(method: str) -> None:
    def found(*methods: str) -> CostEstimate:
        request = CostRequest(300, 40)
        recipe = Recipe(model="target", approximate=methods)
        return estimate(recipe, TARGET.network.config, None, request, MACHINE)

    sizes = TARGET.network.config
    own = 3 * sizes.hidden * (sizes.intermediate // 2) * sizes.layers * 8  # float64
    exact, thinned = found(), found(method)
    room = exact.capacity.requests * exact.cache_bytes
    assert thinned.capacity.requests == pytest.approx(room / (exact.cache_bytes + own), rel=1e-3)
    assert any("MLP weights of its own" in note for note in thinned.notes)
    assert found("cats").capacity == exact.capacity


@pytest.mark.parametrize("method", ["griffin", "cats", "sirius"])
def test_a_model_with_experts_is_refused_as_a_run_refuses_it(method: str) -> None:
    recipe = Recipe(model="mixtral-8x7b", approximate=(method,))

    with pytest.raises(UnsupportedModelError, match="this model has experts"):
        estimate(recipe, config("mixtral-8x7b"), None, CostRequest(300, 40), MACHINE)

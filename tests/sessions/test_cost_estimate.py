"""The estimate against the engine's meter, on tiny models that run."""

from __future__ import annotations

import pytest
import torch

from forethought.cost.capacity import weight_bytes
from forethought.cost.flops import entry_bytes
from forethought.cost.hardware import TABLE
from forethought.cost.precision import STORED_BITS, Precision, precision
from forethought.cost.roofline import Machine
from forethought.cost.work import Pass, decode_step, operations, total
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.models.decoder.decoder import Decoder
from forethought.models.decoder.linear import build_linears
from forethought.recipes.recipe import Recipe
from forethought.sessions.cost_estimate import estimate
from forethought.sessions.cost_stages import CostRequest
from forethought.sessions.decode_growth import DecodeGrowth
from tests.cost.fixtures import config
from tests.sessions.tiny_session import TARGET
from tests.tiny import batch_of, tiny_decoder, tiny_tensors, tokens_of

WIDE = Precision(prefill=64, decode=64, head=64, cache=64, activations=64)
"""Tiny models compute in float64."""
MACHINE = Machine(TABLE["h100"], WIDE)
NARROW = Machine(TABLE["h100"], Precision())


def test_bytes_of_a_packed_cache_are_those_of_the_meter() -> None:
    sizes = {"hidden_size": 128, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 64}
    decoder = tiny_decoder(dtype=torch.bfloat16, **sizes)
    for bits in (8, 4):
        batch, cache = batch_of(decoder), SequenceCache(3)
        with torch.inference_mode():
            batch.prefill(cache, tokens_of(320))
            cache.pack(bits)
            before = batch.meter.bytes_moved
            batch.step([cache], [7])

        stored = Precision(cache=STORED_BITS[bits])
        work = total(operations(decoder.config, stored, decode_step(320)))
        assert work.weight_bytes + work.cache_bytes == pytest.approx(
            batch.meter.bytes_moved - before, rel=0.05
        )
        assert work.cache_bytes < 0.6 * 321 * entry_bytes(decoder.shape)


@pytest.mark.parametrize("rows", [1, 2, 7, 64])
def test_a_batch_of_decode_steps_with_experts_is_that_of_the_meter(rows: int) -> None:
    made = {"model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2}
    config, tensors = tiny_tensors(**made)
    shapes = {"router.weight": (8, 32), "experts.gate_up": (8, 96, 32), "experts.down": (8, 32, 48)}
    experts = {
        f"layers.{layer}.{name}": torch.randn(shape)
        for layer in range(3)
        for name, shape in shapes.items()
    }
    tensors = {name: held.bfloat16() for name, held in (tensors | experts).items()}
    decoder = Decoder(config, tensors, build_linears(tensors, {}, "bf16"))
    batch, caches = batch_of(decoder), [SequenceCache(3) for _ in range(rows)]
    with torch.inference_mode():
        for cache in caches:
            batch.prefill(cache, tokens_of(9))
        before = batch.meter.copy()
        batch.step(caches, [7] * rows)

    work = total(operations(decoder.config, Precision(), decode_step(9, rows)))
    spent = batch.meter.since(before)
    assert work.flops == spent.flops
    assert work.weight_bytes + work.cache_bytes == pytest.approx(spent.bytes_moved, rel=1e-3)


@pytest.mark.parametrize("bits", ["bf16", "int8", "w8a8"])
def test_weights_of_the_engines_formats_have_the_stated_bits(bits: str) -> None:
    config, tensors = tiny_tensors(hidden_size=128, intermediate_size=256, vocab_size=512)
    tensors = {name: tensor.bfloat16() for name, tensor in tensors.items()}
    decoder = Decoder(config, tensors, build_linears(tensors, {}, bits))

    for one in (Pass(64), decode_step(0)):
        work = total(operations(config, precision(bits, here=True), one))
        read = decoder.weight_bytes(one.phase, tokens=one.tokens)
        assert work.weight_bytes == pytest.approx(read, rel=0.05)


def test_a_prompt_of_several_chunks_and_a_sliding_window_are_those_of_the_meter() -> None:
    decoder = tiny_decoder(
        model_type="mistral", sliding_window=40, max_position_embeddings=8192, dtype=torch.bfloat16
    )
    batch, cache = batch_of(decoder), SequenceCache(3)
    with torch.inference_mode():
        batch.prefill(cache, tokens_of(2500))
        for _ in range(3):
            batch.step([cache], [7])

    request = CostRequest(2500, 4)
    machine = Machine(TABLE["h100"], Precision())
    found = estimate(Recipe(model="target"), decoder.config, None, request, machine)

    assert found.work.flops == batch.meter.flops


def test_methods_that_do_not_pay_are_left_out_and_said() -> None:
    request = CostRequest(100, 8)
    recipe = Recipe(model="target", approximate=("snapkv(keep=120)",))

    found = estimate(recipe, TARGET.network.config, None, request, MACHINE)

    assert found.entries == 100
    assert found.notes == ("snapkv(keep=120) skipped: nothing to drop from a prompt of 100 tokens",)
    assert [stage.phase.work for stage in found.stages] == [
        stage.phase.work for stage in found.exact
    ]


def test_a_quantised_cache_and_an_eviction_let_more_sequences_fit() -> None:
    request, card = CostRequest(32_768, 1024), Machine(TABLE["h100"], Precision())
    plain, small = (
        estimate(Recipe(approximate=methods), config("llama-3.1-8b"), None, request, card)
        for methods in ((), ("snapkv(keep=0.25)", "quantised-kv(bits=4)"))
    )

    ratio = small.capacity.requests / plain.capacity.requests
    entries = (32_768 / 4 + 1024) / (32_768 + 1024)
    assert ratio == pytest.approx(1 / (entries * 5 / 16), rel=0.1)


def test_a_byte_budget_counts_entries_of_the_model() -> None:
    llama = config("llama-3.1-8b")
    card = Machine(TABLE["h100"], Precision())

    found = estimate(
        Recipe(approximate=("snapkv(keep=64MiB)",)), llama, None, CostRequest(4096, 8), card
    )

    assert found.entries == 64 * 2**20 // entry_bytes(llama.shape)


def test_samples_share_their_prompt_in_memory_and_at_every_step() -> None:
    decoder = tiny_decoder(dtype=torch.bfloat16)
    batch, cache = batch_of(decoder), SequenceCache(3)
    with torch.inference_mode():
        batch.prefill(cache, tokens_of(50))
        rows = [cache, *(cache.fork() for _ in range(3))]
        for _ in range(5):
            batch.step(rows, [7] * 4)

    found = estimate(
        Recipe(model="target"), decoder.config, None, CostRequest(50, 6, samples=4), NARROW
    )

    work = found.work
    assert work.flops == batch.meter.flops
    moved = work.weight_bytes + work.cache_bytes
    assert moved == pytest.approx(batch.meter.bytes_moved, rel=1e-9)
    entry = entry_bytes(decoder.shape)
    assert found.cache_bytes == (50 + 4 * 6) * entry


def test_two_requests_of_samples_are_two_groups() -> None:
    sizes = config("qwen2.5-0.5b")
    one, two = (
        estimate(Recipe(), sizes, None, CostRequest(500, 9, batch, 3), NARROW).work
        for batch in (1, 2)
    )

    assert two.flops == 2 * one.flops
    assert two.cache_bytes == pytest.approx(2 * one.cache_bytes)
    assert two.weight_bytes == one.weight_bytes


@pytest.mark.parametrize("every", [1, 3, 4])
@pytest.mark.parametrize("entries", [5, 18, 19, 20])
@pytest.mark.parametrize("steps", [0, 2, 7, 16, 41])
def test_entries_between_evictions_are_those_of_a_walk(
    entries: int, every: int, steps: int
) -> None:
    held, before, evicted = entries, [], []
    for step in range(1, steps + 1):
        before.append(held)
        held += 1
        if step % every == 0:
            evicted.append(held)
            held = min(held, 20)

    growth = DecodeGrowth(entries, 20, every, steps)

    pasts = [(entries + (growth.growing - 1) / 2, growth.growing), *growth.held()]
    assert sum(count for _, count in pasts) == steps
    assert sum(past * count for past, count in pasts) == sum(before)
    assert sum(count for _, count in growth.evictions()) == len(evicted)
    assert sum(at * count for at, count in growth.evictions()) == sum(evicted)


def test_a_model_that_drafts_the_answer_costs_its_prefill_weights_and_cache() -> None:
    llama, small = config("llama-3.1-8b"), config("qwen2.5-1.5b")
    asked = small, CostRequest(4096, 512), NARROW
    plain = estimate(Recipe(), llama, *asked)

    drafted = estimate(Recipe(draft="small", approximate=("draft-model",)), llama, *asked)

    (draft,) = (stage.phase for stage in drafted.stages if stage.name == "draft")
    whole = total(operations(small, Precision(), Pass(4096)))
    assert draft.work.flops == pytest.approx(whole.flops, rel=0.01)
    held = drafted.capacity.weight_bytes - plain.capacity.weight_bytes
    assert held == weight_bytes(small, Precision())
    each = entry_bytes(small.shape)
    assert drafted.capacity.requests < plain.capacity.requests
    assert drafted.cache_bytes == plain.cache_bytes + (4096 + 512) * each


def test_own_layers_cost_their_prefill_and_no_weights() -> None:
    llama = config("llama-3.1-8b")
    asked = None, CostRequest(4096, 512), NARROW
    plain = estimate(Recipe(), llama, *asked)

    drafted = estimate(Recipe(approximate=("own-layers(layers=8)",)), llama, *asked)

    (draft,) = (stage.phase for stage in drafted.stages if stage.name == "draft")
    exact = plain.stages[0].phase.work.flops
    assert draft.work.flops == pytest.approx(exact * 8 / 32, rel=0.05)
    assert drafted.capacity.weight_bytes == plain.capacity.weight_bytes


def test_a_draft_that_scores_has_weights_too() -> None:
    llama, small = config("llama-3.1-8b"), config("qwen2.5-1.5b")
    asked = small, CostRequest(8192, 16), NARROW
    methods = ("specpc-shallow(keep=0.25)",)

    scored = estimate(Recipe(draft="small", approximate=methods), llama, *asked)
    own = estimate(Recipe(approximate=methods), llama, None, *asked[1:])

    held = scored.capacity.weight_bytes - own.capacity.weight_bytes
    assert held == weight_bytes(small, Precision())

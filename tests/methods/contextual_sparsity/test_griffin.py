"""GRIFFIN against loops and masks, and against the exact run at full density."""

from __future__ import annotations

import pytest
import torch

from forethought.contracts.errors import UnsupportedModelError, UsageError
from forethought.methods.contextual_sparsity.griffin import Griffin
from forethought.models.decoder.decoder import Decoder
from forethought.models.decoder.linear import build_linears
from forethought.models.decoder.quantise import pack_head, pack_levels, quantise4
from forethought.prefill.answer_networks import AnswerNetworks
from tests.methods.contextual_sparsity.masked import activations, flocking, logits_after
from tests.sessions.tiny_session import run
from tests.tiny import batch_of, fresh_logits, tiny_decoder, tiny_tensors, tokens_of

NEURONS = 48


def chosen(rows, count):
    choice = Griffin(count / NEURONS).neuron_choice(NEURONS)
    for block in rows:
        choice.see(0, block)
    return choice.kept()[0].tolist()


def random_rows(seed=0, tokens=11):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((tokens, NEURONS), generator=generator, dtype=torch.float64)


def test_kept_neurons_have_the_largest_relative_activations_over_the_prompt():
    rows = random_rows() * torch.logspace(-2, 2, 11, dtype=torch.float64)[:, None]

    assert chosen(torch.split(rows, 4), 24) == flocking(rows, 24)
    assert flocking(rows, 24) != flocking(rows[:1], 24)


def test_the_choice_does_not_depend_on_the_scale_of_a_token_and_skips_silent_ones():
    rows = random_rows()
    scaled = torch.cat([rows * torch.arange(1, 12)[:, None], torch.zeros((2, NEURONS))])

    assert chosen([scaled], 17) == chosen([rows], 17)


def test_a_prefill_shows_the_activations_of_every_prompt_token_in_every_layer():
    decoder, seen = tiny_decoder(), {}

    class Recorder:
        def see(self, layer, rows):
            seen.setdefault(layer, []).append(rows.clone())

    with torch.inference_mode():
        shown = fresh_logits(decoder.showing(Recorder()), tokens_of(1))
        plain = fresh_logits(decoder, tokens_of(1))

    assert torch.equal(shown, plain)
    # One token attends to itself alone: its inputs are those of a slow pass.
    x = decoder.embedding[tokens_of(1)].clone()
    for layer, own in enumerate(decoder._layers):
        values = own.attention_inputs(x, None, "prefill")[2]
        x = x + own.out(values.repeat_interleave(2, 1).flatten(1), "prefill")
        normed = own.mlp_norm(x)
        expected = activations(decoder, layer, normed)
        torch.testing.assert_close(seen[layer][0], expected, rtol=1e-10, atol=1e-12)
        x = x + expected @ decoder._tensors[f"layers.{layer}.down.weight"].T
    seen.clear()
    fresh_logits(decoder.showing(Recorder()), tokens_of(30))
    assert [sum(map(len, seen[layer])) for layer in range(3)] == [30, 30, 30]


def masked(decoder, kept):
    """The decoder with zeros in the other neurons' columns."""
    tensors = dict(decoder._tensors)
    for layer, own in enumerate(kept):
        down = torch.zeros_like(tensors[f"layers.{layer}.down.weight"])
        down[:, own] = tensors[f"layers.{layer}.down.weight"][:, own]
        tensors[f"layers.{layer}.down.weight"] = down
    return Decoder(decoder.config, tensors, build_linears(tensors, {}, "bf16"))


def kept_of(count, layers=3, of=NEURONS):
    generator = torch.Generator().manual_seed(5)
    return [torch.randperm(of, generator=generator)[:count].sort().values for _ in range(layers)]


@pytest.mark.parametrize("count", [1, 24, NEURONS])
def test_a_sliced_network_equals_the_masked_one(count):
    decoder, kept = tiny_decoder(), kept_of(count)

    passes = ("prefill", tokens_of(9)), ("decode", tokens_of(3, seed=1))
    sliced = logits_after(
        [(decoder, passes[0][1], "prefill"), (decoder.with_neurons(kept), passes[1][1], "decode")]
    )
    slow = logits_after(
        [(decoder, passes[0][1], "prefill"), (masked(decoder, kept), passes[1][1], "decode")]
    )

    torch.testing.assert_close(sliced, slow, rtol=1e-10, atol=1e-10)
    if count == NEURONS:
        whole = logits_after([(decoder, one, phase) for phase, one in passes])
        assert torch.equal(sliced, whole)


FORMATS = {"bf16": 0.03, "int8": 0.05, "w8a8": 0.08, "compiled": 0.25, "int4": 0.25}
"""Each with the difference that its rounding allows, beside the greatest logit."""


@pytest.mark.parametrize("weights", FORMATS)
def test_every_weight_format_can_be_sliced_and_reads_fewer_bytes(weights):
    sizes = {"hidden_size": 64, "intermediate_size": 192, "head_dim": 16, "vocab_size": 128}
    config, tensors = tiny_tensors(scale=0.1, **sizes)
    tensors = {name: one.bfloat16() for name, one in tensors.items()}
    decoder = Decoder(config, tensors, build_linears(tensors, packed(tensors), weights))
    kept = kept_of(96, of=192)

    sliced = decoder.with_neurons(kept)
    found = logits_after([(decoder, tokens_of(9), "prefill"), (sliced, [3, 4], "decode")])
    reference = masked(Decoder(config, tensors, build_linears(tensors, {}, "bf16")), kept)
    slow = logits_after([(decoder, tokens_of(9), "prefill"), (reference, [3, 4], "decode")])

    assert float((found - slow).abs().max()) < FORMATS[weights] * float(slow.abs().max())
    mlp, half = (sum(one.mlp.weight_bytes("decode", 1) for one in net._layers)
                 for net in (decoder, sliced))  # fmt: skip
    # 96 neurons fill one and a half blocks of the 4-bit kernels.
    assert half / mlp == pytest.approx(128 / 192 if "int4" in weights or weights == "compiled"
                                       else 0.5, abs=0.02)  # fmt: skip
    assert decoder.weight_bytes("decode") - sliced.weight_bytes("decode") == mlp - half
    assert sliced.shape.layer_parameters == decoder.shape.layer_parameters - 3 * 64 * 96


def packed(tensors):
    """The 4-bit weights of a decoder."""
    found = {f"head.{kind}": one for kind, one in pack_head(tensors["head.weight"]).items()}
    for name, weight in tensors.items():
        owner, _, kind = name.rpartition(".")
        if kind == "weight" and owner.rpartition(".")[2] in ("qkv", "out", "gate_up", "down"):
            made = pack_levels(quantise4(weight))
            found |= {f"{owner}.{suffix}": one for suffix, one in made.items()}
    return found


def test_tokens_behind_the_prompt_do_not_choose():
    decoder, tokens = tiny_decoder(), tokens_of(20)
    alone, more = (AnswerNetworks(decoder, Griffin(0.5)) for _ in range(2))

    batch_of(alone.prefilling(20)).prefill(_cache(decoder), tokens)
    batch_of(more.prefilling(20)).prefill(_cache(decoder), [*tokens, 1, 2, 3])

    for one, other in zip(alone.sparse._layers, more.sparse._layers, strict=True):
        assert torch.equal(one.mlp.down.weight, other.mlp.down.weight)
    assert alone.decoding is alone.sparse


def _cache(decoder):
    from forethought.engine.cache.sequence_cache import SequenceCache

    return SequenceCache(len(decoder.shape.layers))


def test_full_density_is_the_exact_run_and_half_decodes_with_fewer_bytes():
    plain, full = run(), run(approximate=("griffin(density=1.0)",))
    assert full["notes"] == ("griffin(density=1.0) skipped: it leaves out no neuron",)
    half = run(approximate=("griffin",))

    assert full["answer"] == plain["answer"]
    assert full["cost"]["flops"] == plain["cost"]["flops"]
    assert "density" not in full["cost"]
    assert half["answer"][0] == plain["answer"][0]  # the prefill is exact
    assert half["cost"]["bytes_moved"] < plain["cost"]["bytes_moved"]
    # Three layers of 3072 + 3 * 32 * 48 parameters, and the head.
    whole = 3 * (3072 + 4608) + 258 * 32
    assert half["cost"]["density"] == pytest.approx(1 - 3 * 2304 / whole, abs=1e-4)
    assert half["cost"]["full_parameters"] == 11 * whole


def test_several_answers_to_a_prompt_share_its_neurons():
    one, four = (
        run(approximate=("griffin",), samples=n, temperature=0.5, max_tokens=9) for n in (1, 4)
    )

    assert four["candidates"][0]["text"] == one["answer"]


def test_one_recipe_thins_the_mlp_once_and_experts_cannot_be_thinned():
    with pytest.raises(UsageError, match="thin the MLP"):
        run(approximate=("griffin", "cats"))
    experts = tiny_decoder(
        model_type="mixtral", num_local_experts=4, num_experts_per_tok=2, intermediate_size=16
    )
    with pytest.raises(UnsupportedModelError, match="experts"):
        AnswerNetworks(experts, Griffin(0.5)).prefilling(4)

"""CATS by each token's strongest gates, against loops."""

from __future__ import annotations

import pytest
import torch

from forethought.methods.contextual_sparsity.cats import Cats
from forethought.models.decoder.decoder import Decoder
from forethought.models.decoder.linear import build_linears
from forethought.prefill.answer_networks import AnswerNetworks
from tests.methods.contextual_sparsity.masked import logits_after, strongest
from tests.methods.contextual_sparsity.test_griffin import packed
from tests.sessions.tiny_session import run
from tests.tiny import tiny_decoder, tiny_tensors, tokens_of

NEURONS = 48


def network(decoder, density):
    return AnswerNetworks(decoder, Cats(density)).sparse


def slow_mlp(decoder, layer, x, count):
    """The outputs of a layer's MLP for inputs [N, hidden], each with its own neurons."""
    weights = decoder._tensors
    gate, up = weights[f"layers.{layer}.gate_up.weight"].chunk(2)
    down = weights[f"layers.{layer}.down.weight"]
    found = []
    for token in x:
        pre = [float((row * token).sum()) for row in gate]
        gates = [one / (1 + torch.tensor(-one, dtype=torch.float64).exp().item()) for one in pre]
        out = torch.zeros(len(down), dtype=torch.float64)
        for neuron in strongest(gates, count):
            out += gates[neuron] * float((up[neuron] * token).sum()) * down[:, neuron]
        found.append(out)
    return torch.stack(found)


@pytest.mark.parametrize(("density", "count"), [(0.5, 24), (0.9, 44), (0.01, 1)])
def test_each_token_uses_the_neurons_of_its_strongest_gates(density, count):
    decoder = tiny_decoder()
    x = torch.randn((2, 32), generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    for layer, own in enumerate(network(decoder, density)._layers):
        found = own.mlp(x, "decode")
        torch.testing.assert_close(found, slow_mlp(decoder, layer, x, count))
        torch.testing.assert_close(found[1:2], own.mlp(x[1:2], "decode"), rtol=1e-12, atol=1e-12)
        plain = decoder._layers[layer].mlp(x, "prefill")
        assert torch.equal(own.mlp(x, "prefill"), plain)


def test_packed_weights_use_the_same_neurons():
    config, tensors = tiny_tensors(
        scale=0.1, hidden_size=64, intermediate_size=192, head_dim=16, vocab_size=128
    )
    tensors = {name: one.bfloat16() for name, one in tensors.items()}
    made = [
        Decoder(config, tensors, build_linears(tensors, packed(tensors), kind))
        for kind in ("bf16", "compiled", "w8a8")
    ]
    passes = [
        [(one, tokens_of(9), "prefill"), (network(one, 0.5), [3, 4], "decode")] for one in made
    ]

    dense, compiled, eight = (logits_after(one) for one in passes)

    assert float((compiled - dense).abs().max()) < 0.25 * float(dense.abs().max())
    assert float((eight - dense).abs().max()) < 0.1 * float(dense.abs().max())
    # Packed weights are read whole.
    assert network(made[1], 0.5).weight_bytes("decode") == made[1].weight_bytes("decode")


def test_dense_weights_are_read_for_the_chosen_neurons_alone():
    decoder = tiny_decoder()
    sparse = network(decoder, 0.25)

    saved = decoder.weight_bytes("decode") - sparse.weight_bytes("decode")

    assert saved == 3 * 2 * 36 * 32 * 8
    assert decoder.shape.layer_parameters - sparse.shape.layer_parameters == 2 * 36 * 32
    # Four tokens may use all neurons between them.
    assert sparse.weight_bytes("decode", None, 4) == decoder.weight_bytes("decode")
    assert network(decoder, 0.25) is sparse


def test_full_density_is_the_exact_run_and_less_is_metered():
    plain, full, half = run(), run(approximate=("cats(density=1.0)",)), run(approximate=("cats",))

    assert full["answer"] == plain["answer"]
    assert full["cost"] == plain["cost"] | {"seconds": full["cost"]["seconds"]}
    whole = 3 * (3072 + 4608) + 258 * 32
    assert half["cost"]["density"] == pytest.approx(1 - 3 * 2 * 24 * 32 / whole, abs=1e-4)

import pytest
import torch

from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.models.decoder import decoder as decoder_module
from forethought.models.decoder.calibrate import prefill_format
from forethought.models.decoder.eight_bit_prefill import ScoringLayer, ScoringLinear, scoring_layer
from forethought.models.decoder.linear import DenseLinear
from tests.tiny import batch_of, tiny_decoder, tokens_of

SIZES = {"hidden_size": 64, "intermediate_size": 96, "head_dim": 16}
WIDE = {**SIZES, "head_dim": 32}


def scored(seed=0, wins=True):
    decoder = tiny_decoder(seed=seed, dtype=torch.bfloat16, scale=0.1, **SIZES)
    decoder.eight_bits_win = lambda: wins
    return decoder


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.inference_mode():
        yield


def test_a_scoring_network_multiplies_in_8_bits_in_prefill_alone():
    weight = torch.randn(40, 64, generator=torch.Generator().manual_seed(1)).bfloat16()
    x = torch.randn(20, 64, generator=torch.Generator().manual_seed(2)).bfloat16()
    plain = DenseLinear(weight)
    product = ScoringLinear(plain, plain)

    eight, exact = product(x, "prefill"), plain(x, "prefill")

    assert torch.equal(product(x, "decode"), plain(x, "decode"))
    error = (eight.double() - exact.double()).norm() / exact.double().norm()
    assert 1e-3 < error < 2e-2
    assert product.bytes("prefill") == 40 * 64 + 2 * 40
    assert product.bytes("decode") == weight.nbytes


def wide_layer(seed=0, **settings):
    """A layer whose sizes fit the kernels' vectors, and its angles."""
    decoder = tiny_decoder(seed=seed, dtype=torch.bfloat16, scale=0.1, **{**WIDE, **settings})
    (rope,) = decoder._ropes
    return decoder._layers[0], rope.at(torch.arange(700), torch.bfloat16)


def test_a_layer_with_compiled_passes_is_near_the_plain_one():
    """700 tokens are two blocks."""
    layer, turn = wide_layer()
    made = scoring_layer(layer, "silu", 32)
    x = torch.randn(700, 64, generator=torch.Generator().manual_seed(3)).bfloat16()
    streams = [x.clone(), x.clone()]

    inputs = [one.attention_inputs(x, turn, "prefill") for one in (layer, made)]
    mixed = inputs[0][0].flatten(1)
    for one, stream in zip((layer, made), streams, strict=True):
        one.finish_(stream, mixed, "prefill")

    assert isinstance(made, ScoringLayer)
    for exact, found in zip(*inputs, strict=True):
        assert exact.shape == found.shape
        assert 0 < (found.double() - exact).norm() / exact.double().norm() < 2e-2
    added, exact = (stream.double() - x for stream in reversed(streams))
    assert 0 < (added - exact).norm() / exact.norm() < 3e-2
    assert made.weight_bytes("prefill", 2) < layer.weight_bytes("prefill", 2) * 0.6


def test_a_scoring_layer_decodes_as_the_plain_one():
    layer, turn = wide_layer()
    made, x = scoring_layer(layer, "silu", 32), torch.ones(3, 64, dtype=torch.bfloat16)
    streams = [x.clone(), x.clone()]

    inputs = [one.attention_inputs(x, turn.part(slice(3)), "decode") for one in (layer, made)]
    for one, stream in zip((layer, made), streams, strict=True):
        one.finish_(stream, inputs[0][0].flatten(1), "decode")

    assert all(torch.equal(a, b) for a, b in zip(*inputs, strict=True))
    assert torch.equal(*streams)


def test_blocks_of_tokens_change_no_bit_of_a_scoring_layer():
    layer, turn = wide_layer()
    made = scoring_layer(layer, "silu", 32)
    x = torch.randn(700, 64, generator=torch.Generator().manual_seed(3)).bfloat16()

    whole = made.attention_inputs(x, turn, "prefill")
    rest = made.attention_inputs(x[600:], turn.part(slice(600, None)), "prefill")

    assert all(torch.equal(a[600:], b) for a, b in zip(whole, rest, strict=True))


@pytest.mark.parametrize(
    ("activation", "rotary", "settings"),
    [
        ("gelu", 32, {}),
        ("silu", 24, {}),
        ("silu", 32, {"model_type": "qwen3"}),
        ("silu", 32, {"intermediate_size": 90}),
    ],
)
def test_layers_that_the_passes_do_not_know_multiply_in_8_bits_all_the_same(
    activation, rotary, settings
):
    layer, _ = wide_layer(**settings)

    made = scoring_layer(layer, activation, rotary)

    assert not isinstance(made, ScoringLayer)
    assert isinstance(made.qkv, ScoringLinear)
    assert isinstance(made.mlp.down, ScoringLinear)


def test_its_keys_are_near_those_of_the_network_itself():
    decoder = scored()
    scorer = decoder.for_scores()
    assert scorer is not decoder
    assert scorer is decoder.for_scores()
    assert scorer.for_scores() is scorer

    caches = [SequenceCache(3), SequenceCache(3)]
    for network, cache in zip((decoder, scorer), caches, strict=True):
        batch_of(network).prefill(cache, tokens_of(80))

    for layer in range(3):
        exact, near = (next(iter(cache.kv_slices(layer))).keys.double() for cache in caches)
        assert 0 < (near - exact).norm() / exact.norm() < 0.1
    assert scorer.weight_bytes("prefill", 2) < decoder.weight_bytes("prefill", 2) * 0.6
    assert scorer.weight_bytes("decode") == decoder.weight_bytes("decode")


def test_where_8_bits_lose_the_network_scores_itself():
    decoder = scored(wins=False)

    assert decoder.for_scores() is decoder


def test_a_network_for_long_texts_has_a_scorer_of_its_own():
    rope = {
        "rope_type": "longrope",
        "rope_theta": 1e4,
        "short_factor": [1.0] * 8,
        "long_factor": [4.0] * 8,
        "original_max_position_embeddings": 64,
    }
    decoder = tiny_decoder(
        dtype=torch.bfloat16,
        **SIZES,
        model_type="phi3",
        rope_parameters=rope,
        original_max_position_embeddings=64,
    )
    decoder.eight_bits_win = lambda: True
    short, longer = decoder.for_scores(), decoder.for_long_texts()
    assert longer is not decoder

    assert longer.for_scores() is not short
    assert longer.for_scores().config == longer.config


@pytest.mark.parametrize("faster", ["bf16", "w8a8"])
def test_the_format_that_multiplies_a_block_faster_is_chosen_and_kept(
    tmp_path, monkeypatch, faster
):
    monkeypatch.setattr("forethought.models.decoder.calibrate.is_crowded", lambda *times: False)
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    seen = []

    class Product:
        inputs = 8

        def __init__(self, name):
            self.name = name

        def __call__(self, x, phase):
            seen.append((len(x), phase))
            now[0] += 1 if self.name == faster else 2

    def build(name):
        return lambda product: Product(name)

    assert prefill_format(tmp_path, build, ["layers.0.qkv"]) == faster
    assert set(seen) == {(512, "prefill")}
    seen.clear()
    assert prefill_format(tmp_path, build, ["layers.0.qkv"]) == faster
    assert not seen


def test_a_stated_weight_format_is_never_replaced(monkeypatch, tmp_path):
    monkeypatch.setattr(decoder_module, "prefill_format", lambda *given: "w8a8")
    monkeypatch.setattr(decoder_module, "kernels", lambda: object())
    monkeypatch.setattr(decoder_module, "pairs_saturate", lambda: False)
    tensors = {"layers.0.qkv.weight": torch.zeros(4, 4)}

    assert decoder_module._eight_bits_win(tmp_path, tensors, True)
    assert not decoder_module._eight_bits_win(tmp_path, tensors, False)

import pytest
import torch

from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.models.decoder import decoder as decoder_module
from forethought.models.decoder.calibrate import prefill_format
from forethought.models.decoder.eight_bit_prefill import ScoringLinear, scoring_layer
from forethought.models.decoder.linear import DenseLinear
from tests.tiny import batch_of, tiny_decoder, tokens_of

SIZES = {"hidden_size": 64, "intermediate_size": 96, "head_dim": 16}


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


def test_the_gated_mlp_in_one_pass_is_near_the_plain_one():
    layer = scored()._layers[0]
    mlp = scoring_layer(layer, "silu").mlp
    x = torch.randn(40, 64, generator=torch.Generator().manual_seed(3)).bfloat16()

    found, exact = mlp(x, "prefill").double(), layer.mlp(x, "prefill").double()

    assert 0 < (found - exact).norm() / exact.norm() < 3e-2
    assert torch.equal(mlp(x, "decode"), layer.mlp(x, "decode"))
    other = scoring_layer(layer, "gelu").mlp
    assert type(other) is type(layer.mlp)


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

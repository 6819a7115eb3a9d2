"""FLOPs and bytes of passes against figures that were worked by hand."""

from __future__ import annotations

import pytest

from forethought.cost.precision import STORED_BITS, Precision
from forethought.cost.sizes import head_of, layer_groups, parameters
from forethought.cost.work import Pass, decode_step, operations, total
from tests.cost.fixtures import config, tiny

# Matrix parameters that one token multiplies: layers, and head. By hand from the published configs:
# Llama-2-7B      32 x (4 x 4096^2 + 3 x 4096 x 11008),               4096 x 32000
# Llama-3-8B      32 x (2 x 4096^2 + 2 x 4096 x 1024 + 3 x 4096 x 14336), 4096 x 128256
# Qwen2.5-1.5B    28 x (2 x 1536^2 + 2 x 1536 x 256 + 3 x 1536 x 8960), 1536 x 151936
# Mixtral-8x7B    32 x (2 x 4096^2 + 2 x 4096 x 1024 + 8 x 4096 + 2 x 3 x 4096 x 14336)
USED = {
    "llama-2-7b": (6_476_005_376, 131_072_000),
    "llama-3-8b": (6_979_321_856, 525_336_576),
    "qwen2.5-1.5b": (1_310_195_712, 233_373_696),
    "mixtral-8x7b": (12_617_515_008, 131_072_000),
}
# Layer parameters that a pass of 2,048 prompt tokens reads: all experts of Mixtral.
READ = {**{name: layers for name, (layers, _) in USED.items()}, "mixtral-8x7b": 46_440_382_464}
# Width of all query heads times layers, and of all key heads times layers.
WIDE = {
    "llama-2-7b": (4096 * 32, 4096 * 32),
    "llama-3-8b": (4096 * 32, 1024 * 32),
    "qwen2.5-1.5b": (1536 * 28, 256 * 28),
    "mixtral-8x7b": (4096 * 32, 1024 * 32),
}
PAIRS = 2048 * 2049 // 2  # under a causal mask
BITS = {4: 5.0, 16: 16.0}  # with a scale and a zero of 16 bits for every 32 weights


@pytest.mark.parametrize("name", USED)
@pytest.mark.parametrize("batch", [1, 64])
@pytest.mark.parametrize("weights", [16, 4])
@pytest.mark.parametrize("cache", [16, 8])
def test_prefill_and_decode_equal_figures_worked_by_hand(
    name: str, batch: int, weights: int, cache: int
) -> None:
    layers, head = USED[name]
    queries, keys = WIDE[name]
    bits = Precision(prefill=BITS[weights], decode=BITS[weights], cache=STORED_BITS[cache])
    sizes = config(name)

    prefill = total(operations(sizes, bits, Pass(2048, 0, batch)))
    decode = total(operations(sizes, bits, decode_step(2047, batch)))

    assert prefill.flops == batch * (2 * layers * 2048 + 2 * head + 4 * queries * PAIRS)
    assert decode.flops == batch * (2 * layers + 2 * head + 4 * queries * 2048)
    held = batch * 2048 * 2 * keys * STORED_BITS[cache] / 8
    assert (prefill.cache_bytes, decode.cache_bytes) == (held, held)
    # The head is stored as the layers in prefill, and in 16 bits in decode.
    whole = (READ[name] + head) * BITS[weights] / 8
    assert prefill.weight_bytes == pytest.approx(whole, rel=1e-6)
    read = {1: layers, 64: READ[name]}[batch]
    assert decode.weight_bytes == pytest.approx(read * BITS[weights] / 8 + head * 2, rel=0.01)


def test_a_token_of_batch_one_reads_two_experts_and_two_tokens_three_and_a_half() -> None:
    mixtral, bits = config("mixtral-8x7b"), Precision()
    expert = 3 * 4096 * 14336 * 2 * 32

    one, two = (total(operations(mixtral, bits, decode_step(0, n))).weight_bytes for n in (1, 2))

    assert two - one == pytest.approx(1.5 * expert)  # 8 x (1 - (6/8)^2) = 3.5


def test_the_query_projection_of_llama_2_equals_the_published_table() -> None:
    llama, bits = config("llama-2-7b"), Precision()

    prefill, decode = (
        next(one.work for one in operations(llama, bits, each) if one.name == "q")
        for each in (Pass(2048), decode_step(2047))
    )

    assert (prefill.flops, prefill.bytes_moved) == (68_719_476_736, 67_108_864)
    assert prefill.intensity == 1024
    assert (decode.flops, decode.bytes_moved) == (33_554_432, 33_570_816)


def test_activations_of_a_tiny_layer_are_those_counted_one_by_one() -> None:
    sizes, rows = tiny(), 5 * 2
    one = Pass(5, 7, batch=2)

    found = {each.name: each for each in operations(sizes, Precision(), one)}

    # inputs and outputs in 16 bits; q, k, v, o, gate, up, down
    shapes = {"q": (32, 32), "k": (32, 16), "v": (32, 16), "o": (32, 32),
              "gate": (32, 48), "up": (32, 48), "down": (48, 32)}  # fmt: skip
    for name, (inputs, outputs) in shapes.items():
        assert found[name].work.activation_bytes == rows * (inputs + outputs) * 2
        assert found[name].layers == 3
    assert found["attention"].work.activation_bytes == rows * 2 * 32 * 2
    assert found["activation"].work.activation_bytes == rows * 3 * 48 * 2
    assert found["add"].work.activation_bytes == rows * 3 * 32 * 2
    assert found["head"].work.activation_bytes == 2 * (32 + 97) * 2  # one row a sequence
    assert found["attention"].work.cache_bytes == 2 * (7 + 5) * 2 * 16 * 2


def test_a_sliding_window_limits_pairs_and_entries() -> None:
    sizes = tiny(model_type="mistral", sliding_window=4)

    for one in (Pass(6, 0), Pass(3, 9), decode_step(2), decode_step(30)):
        attention = next(
            each.total for each in operations(sizes, Precision(), one) if each.name == "attention"
        )
        past = int(one.past)
        seen = [
            [key for key in range(query + 1) if query - key < 4]
            for query in range(past, past + one.tokens)
        ]
        assert attention.flops == 3 * 4 * 32 * sum(map(len, seen))
        assert attention.cache_bytes == 3 * 2 * 16 * 2 * len({key for keys in seen for key in keys})


def test_gemma_has_two_groups_of_layers() -> None:
    groups = layer_groups(config("gemma3-1b"))

    assert {(group.count, group.window) for group in groups} == {(22, 512), (4, None)}


def test_shared_entries_are_read_once_by_all_sequences() -> None:
    sizes = tiny()

    apart, shared = (
        total(operations(sizes, Precision(), decode_step(50, 3, common))).cache_bytes
        for common in (0, 50)
    )

    entry = 3 * 2 * 16 * 2
    assert (apart, shared) == (3 * 51 * entry, (50 + 3) * entry)


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("llama-2-7b", 6.738e9), ("llama-3-8b", 8.030e9), ("llama-3.1-70b", 70.55e9),
        ("llama-3.1-405b", 405.9e9), ("llama-3.2-1b", 1.236e9), ("qwen2.5-0.5b", 0.494e9),
        ("qwen2.5-1.5b", 1.544e9), ("qwen2.5-7b", 7.616e9), ("qwen3-0.6b", 0.596e9),
        ("qwen3-30b-a3b", 30.53e9), ("mistral-7b", 7.248e9), ("mixtral-8x7b", 46.70e9),
        ("smollm2", 0.1345e9), ("gemma3-270m", 0.268e9), ("phi-4", 14.66e9),
    ],
)  # fmt: skip
def test_parameters_are_those_of_the_published_models(name: str, published: float) -> None:
    assert parameters(config(name)) == pytest.approx(published, rel=0.002)


def test_the_shape_that_the_engine_counts_with_has_the_same_products() -> None:
    for name in (*USED, "gemma3-1b", "qwen3-30b-a3b"):
        sizes = config(name)
        used = sum(
            group.count * sum(one.inputs * one.outputs * one.chosen for one in group.matrices)
            for group in layer_groups(sizes)
        )
        assert used == sizes.shape.layer_parameters * sizes.layers
        assert head_of(sizes).parameters == sizes.shape.head_parameters

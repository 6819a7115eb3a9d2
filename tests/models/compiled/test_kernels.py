"""The compiled kernels against torch, and their promises about company and threads."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from forethought.models.compiled.arguments import Heads, Sums
from forethought.models.compiled.kernels import CHUNK, TILE_KEYS, Kernels, NormWeight, matrix
from forethought.models.compiled.linear import CompiledEightBit, CompiledFourBit
from forethought.models.decoder.linear import EightBit, FourBit, Linear
from forethought.models.decoder.quantise import pack_levels, quantise4, quantise8
from forethought.models.decoder.rope import Rotation, rotate_

OUT, IN = 192, 256
SCALE = 0.125
ROUNDINGS = 8e-3
"""Two roundings to bf16."""


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def random(*sizes: int, seed: int = 0) -> Tensor:
    return torch.randn(sizes, generator=torch.Generator().manual_seed(seed))


def far(got: Tensor, expected: Tensor) -> float:
    return float((got.double() - expected.double()).norm() / expected.double().norm())


def products(made: Kernels, kind: str) -> tuple[Linear, Linear]:
    """A product by the kernels, and the same by torch."""
    if kind == "int8":
        eight = quantise8(random(77, IN))
        weight, scales = eight["int8"], eight["int8_scales"]
        return CompiledEightBit(made, weight, scales), EightBit(weight, scales)
    packed, bias = pack_levels(quantise4(random(OUT, IN) * 0.05)), random(OUT).bfloat16()
    four = packed["int4"], packed["int4_scales"], bias
    return CompiledFourBit(made, *four), FourBit(*four)


@pytest.mark.parametrize("kind", ["int4", "int8"])
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 7, 8, 33])
def test_products_equal_those_of_torch_up_to_rounding(made: Kernels, kind: str, rows: int) -> None:
    ours, theirs = products(made, kind)
    x = random(rows, IN, seed=1).bfloat16()

    assert far(ours(x, "decode"), theirs(x, "decode")) < ROUNDINGS


@pytest.mark.parametrize("kind", ["int4", "int8"])
@pytest.mark.parametrize("rows", [2, 3, 4, 7, 8, 33])
def test_a_rows_product_does_not_depend_on_its_company(made: Kernels, kind: str, rows: int) -> None:
    product, _ = products(made, kind)
    x = random(rows, IN, seed=2).bfloat16()

    together = product(x, "decode")

    alone = torch.cat([product(row[None], "decode") for row in x])
    assert torch.equal(together, alone)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("kind", ["int4", "int8"])
def test_the_number_of_threads_changes_no_bit_of_a_product(made: Kernels, kind: str) -> None:
    product, _ = products(made, kind)
    x = random(5, IN, seed=3).bfloat16()

    found = []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        found.append(product(x, "decode"))

    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@pytest.mark.parametrize("kind", ["int4", "int8"])
def test_what_is_no_number_stays_so(made: Kernels, kind: str) -> None:
    product, _ = products(made, kind)
    x = random(3, IN, seed=4).bfloat16()
    x[1, 5] = torch.nan

    y = product(x, "decode")

    assert y[1].isnan().all()
    assert y[[0, 2]].isfinite().all()


def test_zero_and_scale_of_each_group_count(made: Kernels) -> None:
    levels = quantise4(random(OUT, IN) + 3)  # far from zero: the zeros carry most of it
    packed = pack_levels(levels)
    x = random(4, IN, seed=5).bfloat16()

    y = made.product4(matrix(packed["int4"], packed["int4_scales"], None), x)

    assert far(y, x.double() @ levels.dense().double().T) < ROUNDINGS


Entries = tuple[Tensor, Tensor]


def attend(
    made: Kernels, tokens: tuple[Tensor, Tensor, Tensor], rows: list[list[Entries]]
) -> Tensor:
    """Attention of one token a row over pieces [K, entries, D], with room for it in the last."""
    pieces: list[int] = []
    ends, lengths = [], []
    for row in rows:
        for keys, values in row:
            addresses = keys.data_ptr(), values.data_ptr()
            pieces += (*addresses, keys.stride(0), values.stride(0), keys.shape[1])
        ends.append(len(pieces) // 5)
        lengths.append(sum(keys.shape[1] for keys, _ in row))
    return made.attend(tokens, 0.2, pieces, ends, lengths)


def tokens_of(rows: int, heads: int, kv_heads: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
    every = random(rows, heads + 2 * kv_heads, size, seed=6).bfloat16()
    queries, keys, values = torch.split(every, [heads, kv_heads, kv_heads], 1)
    return queries, keys, values


def entries_of(count: int, kv_heads: int, size: int, seed: int = 7) -> Entries:
    both = random(2, kv_heads, count, size, seed=seed).bfloat16()
    return both[0], both[1]


def cut(entries: Entries, *places: int) -> list[Entries]:
    """Copies of the entries as pieces that end at these places, and at the end."""
    ends = [*places, entries[0].shape[1]]
    spans = list(zip([0, *ends], ends, strict=False))
    return [(entries[0][:, a:b].clone(), entries[1][:, a:b].clone()) for a, b in spans]


@pytest.mark.parametrize("count", [1, 2, CHUNK - 1, CHUNK, CHUNK + 1, 700])
@pytest.mark.parametrize(
    ("heads", "kv_heads", "size"), [(3, 3, 32), (9, 3, 64), (12, 2, 128), (8, 1, 256), (7, 1, 96)]
)
def test_attention_equals_its_definition(
    made: Kernels, heads: int, kv_heads: int, size: int, count: int
) -> None:
    tokens, entries = tokens_of(1, heads, kv_heads, size), entries_of(count, kv_heads, size)

    mixed = attend(made, tokens, [[entries]])

    assert torch.equal(entries[0][:, -1], tokens[1][0])  # the new key and value were cached
    assert torch.equal(entries[1][:, -1], tokens[2][0])
    queries = tokens[0].view(kv_heads, -1, size).double()
    keys, values = (part.double() for part in entries)
    expected = F.scaled_dot_product_attention(queries, keys, values, scale=0.2)
    assert far(mixed, expected.reshape(1, -1)) < ROUNDINGS


@pytest.mark.parametrize("places", [(1,), (100, 101, 128), (130, 131, 400), (256,)])
def test_where_a_cache_is_cut_into_pieces_changes_no_bit(
    made: Kernels, places: tuple[int, ...]
) -> None:
    tokens, entries = tokens_of(1, 6, 2, 64), entries_of(500, 2, 64)

    whole = attend(made, tokens, [cut(entries)])

    assert torch.equal(whole, attend(made, tokens, [cut(entries, *places)]))


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("count", [1, 2, 3])
def test_attention_depends_on_neither_company_nor_threads(made: Kernels, count: int) -> None:
    tokens = tokens_of(4, 6, 2, 64)
    shared = entries_of(300, 2, 64)
    rows = [[shared, entries_of(own, 2, 64, seed=own)] for own in (1, 40, 200, 40)]
    rows[2] = rows[2][1:]  # one row with a cache of its own alone
    alone = [
        attend(made, tuple(part[i : i + 1] for part in tokens), [row]) for i, row in enumerate(rows)
    ]

    torch.set_num_threads(count)
    together = attend(made, tokens, rows)

    assert torch.equal(together, torch.cat(alone))


def test_a_score_that_is_no_number_shows(made: Kernels) -> None:
    tokens, entries = tokens_of(1, 6, 2, 64), entries_of(300, 2, 64)
    entries[0][0, 17] = torch.nan

    mixed = attend(made, tokens, [[entries]]).view(6, 64)

    assert mixed[:3].isnan().all()
    assert mixed[3:].isfinite().all()


@pytest.mark.parametrize("rows", [1, 5, 40])
@pytest.mark.parametrize("inputs", [256, 250, 7])
def test_tokens_in_8_bits_have_the_nearest_levels_of_their_own_step(
    made: Kernels, rows: int, inputs: int
) -> None:
    x = random(rows, inputs, seed=3).mul(5).bfloat16()
    x[0] = 0

    levels, steps = made.quantise8(x)

    exact = x.float().abs().amax(1).clamp_min(1e-12) / 127
    assert torch.equal(steps, exact)
    assert ((x.double() / exact[:, None].double() - levels).abs() <= 0.5 + 1e-5).all()


@pytest.mark.parametrize("with_bias", [False, True])
def test_sums_become_columns_of_bf16_values(made: Kernels, with_bias: bool) -> None:
    sums = random(9, 77).mul(1e4).to(torch.int32)
    steps, scales = random(9, seed=1).abs(), random(77, seed=2).bfloat16()
    bias = random(77, seed=3).bfloat16() if with_bias else None
    out = torch.zeros(9, 100, dtype=torch.bfloat16)

    made.widen8(Sums(sums, steps, scales, bias), out[:, 10:87])

    expected = sums * steps[:, None] * scales + (bias if with_bias else 0)
    assert far(out[:, 10:87], expected) < ROUNDINGS / 2
    assert not out[:, :10].any()
    assert not out[:, 87:].any()


def test_sums_of_gates_and_ups_become_the_input_of_the_next_product(made: Kernels) -> None:
    width = 3 * made.lanes
    gates, ups = (random(9, width, seed=n).mul(1e4).to(torch.int32) for n in range(2))
    scales, steps = random(2, width, seed=2).bfloat16(), random(9, seed=3).abs().mul(1e-3)
    out = torch.zeros(9, width + 5, dtype=torch.bfloat16)

    gate, up = (Sums(s, steps, one) for s, one in zip((gates, ups), scales, strict=True))
    made.gate8(gate, up, out[:, :width])

    wide = gates * steps[:, None] * scales[0], ups * steps[:, None] * scales[1]
    assert far(out[:, :width], F.silu(wide[0].double()) * wide[1]) < ROUNDINGS / 2
    assert not out[:, width:].any()


@pytest.mark.parametrize("late", [False, True])
def test_tokens_are_normed_before_they_become_levels(made: Kernels, late: bool) -> None:
    x, weight = random(9, 160, seed=3).mul(5).bfloat16(), random(160, seed=4).abs()

    levels, steps = made.quantise8(x, NormWeight(weight.data_ptr(), late, 1e-5))

    normed = F.rms_norm(x.double(), (160,), None, 1e-5) * weight
    assert far(steps, normed.abs().amax(1) / 127) < ROUNDINGS
    # Half a level, and a quarter for each rounding to bf16 before.
    most = 0.8 if late else 1.05
    assert ((levels * steps[:, None] - normed).abs() <= most * steps[:, None]).all()
    assert levels.abs().amax(1).eq(127).all()


def test_products_join_the_residual_stream(made: Kernels) -> None:
    width = 3 * made.lanes
    sums, stream = random(9, width).mul(1e4).int(), random(9, width + 8, seed=5).bfloat16()
    steps, scales = random(9, seed=1).abs(), random(width, seed=2).bfloat16()
    bias, before = random(width, seed=3).bfloat16(), stream.clone()

    made.add8(Sums(sums, steps, scales, bias), 0.3, stream[:, :width])

    expected = before[:, :width] + 0.3 * (sums * steps[:, None] * scales + bias)
    assert far(stream[:, :width], expected) < ROUNDINGS / 2
    assert torch.equal(stream[:, width:], before[:, width:])


@pytest.mark.parametrize("turned", [0, 1, 3])
@pytest.mark.parametrize("rotary", [2, 4])
def test_the_first_heads_turn_and_the_others_do_not(
    made: Kernels, turned: int, rotary: int
) -> None:
    size, turns = 4 * made.lanes, rotary * made.lanes
    sums = random(9, 3 * size).mul(1e4).int()
    steps, scales = random(9, seed=1).abs(), random(3 * size, seed=2).bfloat16()
    angles = random(9, 1, turns // 2, seed=6)
    cosine = torch.cat([angles.cos(), angles.cos()], -1).bfloat16()
    sine = torch.cat([-angles.sin(), angles.sin()], -1).bfloat16()
    out = torch.zeros(9, 3 * size + 8, dtype=torch.bfloat16)

    made.turn8(Sums(sums, steps, scales), Heads(size, turned), cosine, sine, out[:, : 3 * size])

    expected = (sums * steps[:, None] * scales).double().view(9, 3, size)
    turning = Rotation(cosine.double(), sine.double())
    expected[:, :turned] = rotate_(expected[:, :turned].clone(), turning)
    assert far(out[:, : 3 * size], expected.flatten(1)) < ROUNDINGS / 2
    assert not out[:, 3 * size :].any()


def test_threads_change_no_bit_of_8_bit_passes(made: Kernels, threads: None) -> None:
    x = random(33, 256, seed=4).bfloat16()
    torch.set_num_threads(1)
    alone = made.quantise8(x)
    torch.set_num_threads(3)

    together = made.quantise8(x)

    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


def attended(made: Kernels, queries: Tensor, keys: Tensor, values: Tensor, first: int) -> Tensor:
    """The kernel on queries [T, H, D] that follow `first` entries."""
    mixed = torch.empty(len(queries), queries[0].numel(), dtype=torch.bfloat16)
    made.attend_prefill(queries, SCALE, keys, made.pair_values(values), first, mixed)
    return mixed.view(queries.shape)


def plainly(queries: Tensor, keys: Tensor, values: Tensor, first: int) -> Tensor:
    """Causal attention in float64, query by query."""
    tokens, heads, _ = queries.shape
    found = torch.empty(queries.shape, dtype=torch.float64)
    for h in range(heads):
        own = h // (heads // len(keys))
        for t in range(tokens):
            seen = slice(0, first + t + 1)
            scores = keys[own, seen].double() @ queries[t, h].double() * SCALE
            found[t, h] = torch.softmax(scores, -1) @ values[own, seen].double()
    return found


def prompt(tokens: int, entries: int, size: int, group: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    queries = random(tokens, 2 * group, size, seed=1).bfloat16()
    keys, values = (random(2, entries, size, seed=n).bfloat16() for n in (2, 3))
    return queries, keys, values


@pytest.mark.parametrize("size", [32, 64, 96, 128])
@pytest.mark.parametrize(("tokens", "entries"), [(1, 1), (5, 5), (70, 70), (50, 150), (3, 65)])
def test_attention_of_a_prompt_is_that_of_its_definition(
    made: Kernels, tokens: int, entries: int, size: int
) -> None:
    queries, keys, values = prompt(tokens, entries, size)

    found = attended(made, queries, keys, values, entries - tokens)

    assert far(found, plainly(queries, keys, values, entries - tokens)) < ROUNDINGS / 2


def test_large_scores_and_their_shifts_lose_nothing(made: Kernels) -> None:
    queries, keys, values = prompt(90, 90, 64)
    steep = queries * 60
    grown = keys * torch.linspace(0.1, 1, 90).view(1, -1, 1).bfloat16()

    found = attended(made, steep, grown, values, 0)

    assert found.isfinite().all()
    assert far(found, plainly(steep, grown, values, 0)) < ROUNDINGS


@pytest.mark.parametrize("start", [1, 7, TILE_KEYS, 100])
def test_a_prefill_that_resumes_computes_the_same_bits(made: Kernels, start: int) -> None:
    queries, keys, values = prompt(140, 140, 64)
    whole = attended(made, queries, keys, values, 0)

    rest = attended(made, queries[start:], keys, values, start)

    assert torch.equal(rest, whole[start:])


def test_a_prompts_attention_and_products_of_torch_do_not_disturb_each_other(
    made: Kernels, threads: None
) -> None:
    torch.set_num_threads(2)
    queries, keys, values = prompt(100, 100, 64)
    left, right = (random(96, 96, seed=n).bfloat16() for n in (4, 5))
    mixed, product = attended(made, queries, keys, values, 0), left @ right

    for _ in range(3):
        assert torch.equal(attended(made, queries, keys, values, 0), mixed)
        assert torch.equal(left @ right, product)


def test_later_entries_and_threads_change_no_bit_of_a_prompt(made: Kernels, threads: None) -> None:
    queries, keys, values = prompt(100, 130, 64)
    torch.set_num_threads(1)
    alone = attended(made, queries, keys[:, :100], values[:, :100], 0)
    torch.set_num_threads(3)

    assert torch.equal(attended(made, queries, keys, values, 0), alone)

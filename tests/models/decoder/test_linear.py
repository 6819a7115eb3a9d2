"""Weight formats against the matrices they stand for, and their promise about batches."""

import pytest
import torch
import torch.nn.functional as F

from forethought.models.decoder.linear import (
    DenseLinear,
    EightBit,
    EightBitBoth,
    EightBitPlanes,
    FourBit,
    build_linears,
)
from forethought.models.decoder.quantise import (
    Levels,
    pack_head,
    pack_levels,
    quantise4,
    quantise8,
    stacked,
)
from forethought.models.hardware.processor import blocked

OUT, IN = 64, 128


def matrix(seed: int = 0, rows: int = OUT, columns: int = IN) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)) * 0.05


def inputs(rows: int, columns: int = IN) -> torch.Tensor:
    made = torch.randn(rows, columns, generator=torch.Generator().manual_seed(9))
    return made.bfloat16()


def far(got: torch.Tensor, expected: torch.Tensor) -> float:
    return float((got.double() - expected.double()).norm() / expected.double().norm())


def planes_of(packed: dict[str, torch.Tensor]) -> EightBitPlanes:
    return EightBitPlanes(
        FourBit(packed["high"], packed["high_scales"]), FourBit(packed["low"], packed["low_scales"])
    )


def product(kind: str) -> tuple[object, torch.Tensor]:
    """A product of each kind, and the matrix it is meant to multiply by."""
    weight = matrix()
    if kind == "int4":
        levels = quantise4(weight)
        packed = pack_levels(levels)
        return FourBit(packed["int4"], packed["int4_scales"]), levels.dense()
    if kind == "planes":
        return planes_of(pack_head(weight)), weight
    eight = quantise8(weight)
    made = EightBit if kind == "int8" else EightBitBoth
    scales = eight["int8_scales"]
    return made(eight["int8"], scales), eight["int8"] * scales.float()[:, None]


@pytest.mark.parametrize("halved", [False, True])
@pytest.mark.parametrize("rows", [1, 2, 40])
def test_integer_sums_are_exact_at_the_largest_values(
    rows: int, halved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if halved:  # as on processors that add pairs of products in 16 bits
        monkeypatch.setattr("forethought.models.decoder.linear.pairs_saturate", lambda: True)
    most = torch.full((64, 128), 127, dtype=torch.int8)
    both = EightBitBoth(most, torch.ones(64))

    y = both(torch.full((rows, 128), 127.0), "decode")

    assert torch.equal(y, torch.full((rows, 64), 128 * 127.0 * 127.0))


KINDS = ["int4", "int8", "w8a8", "planes"]


@pytest.mark.parametrize(
    ("kind", "bound"), [("int4", 5e-3), ("int8", 5e-3), ("w8a8", 1.5e-2), ("planes", 1e-2)]
)
def test_products_equal_those_with_the_matrix_they_stand_for(kind: str, bound: float) -> None:
    # bf16 results and scales: 8 bits. w8a8 also rounds each input to a 254th of its range.
    linear, weight = product(kind)
    x = inputs(16)

    assert far(linear(x, "decode"), x.float() @ weight.T) < bound


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [2, 5, 8, 16])
def test_a_rows_result_does_not_depend_on_its_company(kind: str, rows: int) -> None:
    linear, _ = product(kind)
    x = inputs(rows)

    together = linear(x, "decode")

    alone = torch.cat([linear(x[i : i + 1], "decode") for i in range(rows)])
    assert torch.equal(together, alone)


def test_repacked_levels_keep_their_values_up_to_rounding_of_scale_and_zero() -> None:
    generator = torch.Generator().manual_seed(3)
    levels = Levels(
        torch.randint(0, 16, (OUT, IN), generator=generator).to(torch.uint8),
        torch.rand(OUT, IN // 32, generator=generator) * 0.01,
        torch.randn(OUT, IN // 32, generator=generator) * 0.01,
    )
    packed = pack_levels(levels)
    linear = FourBit(packed["int4"], packed["int4_scales"])

    read = linear(torch.eye(IN).bfloat16(), "decode").T.float()

    rounded = Levels(levels.levels, levels.scale.bfloat16().float(), levels.zero.bfloat16().float())
    # The identity reads the matrix out; what is left is the rounding of the result itself.
    torch.testing.assert_close(read, rounded.dense(), rtol=2**-8, atol=1e-6)


def test_planes_keep_eight_bit_groups_up_to_rounding_of_the_scale() -> None:
    generator = torch.Generator().manual_seed(4)
    levels = torch.randint(-127, 128, (OUT, IN), generator=generator)
    levels.view(OUT, -1, 32)[..., 0] = 127
    scale = torch.full((OUT, IN // 32), 2.0**-9).repeat_interleave(32, 1)
    linear = planes_of(pack_head(levels * scale))

    read = linear(torch.eye(IN).bfloat16(), "decode").T

    # Each plane is read out with 8 bits of precision; the planes themselves are exact.
    torch.testing.assert_close(read, levels * scale, rtol=2**-8, atol=2**-9 * 0.05)


def test_a_head_packed_in_blocks_is_the_head_packed_at_once() -> None:
    weight = matrix(rows=192)

    blocks = stacked([pack_head(rows) for rows in torch.split(weight, 64)])

    x = inputs(3)
    assert torch.equal(planes_of(blocks)(x, "decode"), planes_of(pack_head(weight))(x, "decode"))


def test_a_head_of_an_odd_size_gets_a_scale_a_row() -> None:
    weight = matrix(rows=61)
    packed = {f"head.{suffix}": tensor for suffix, tensor in pack_head(weight).items()}

    head = build_linears({"embed.weight": weight.bfloat16()}, packed, "int4")("head")

    assert far(head(inputs(4), "decode"), inputs(4).float() @ weight.T) < 2e-2


def test_four_bit_rounding_is_close_and_better_than_the_plain_range() -> None:
    weight = matrix()
    weight[0, 0] = 1.0  # an outlier
    groups = weight.view(OUT, -1, 32)
    low, high = groups.amin(-1, keepdim=True), groups.amax(-1, keepdim=True)
    step = (high - low) / 15
    plain = (((groups - low) / step).round() * step + low).view(OUT, IN)

    ours = quantise4(weight).dense()

    assert far(ours, weight) < far(plain, weight) < 0.1


def test_a_matrix_that_four_bits_can_hold_comes_back_whole() -> None:
    levels = torch.randint(0, 16, (OUT, IN), generator=torch.Generator().manual_seed(1))
    levels.view(OUT, -1, 32)[..., 0], levels.view(OUT, -1, 32)[..., 1] = 0, 15
    weight = levels * 0.01 - 0.04

    torch.testing.assert_close(quantise4(weight).dense(), weight, rtol=1e-4, atol=1e-6)


def test_concatenated_levels_are_the_rows_of_all_parts() -> None:
    first, second = quantise4(matrix(1)), quantise4(matrix(2))

    both = Levels.concat([first, second])

    assert torch.equal(both.dense(), torch.cat([first.dense(), second.dense()]))
    assert torch.equal(both.rows(torch.tensor([70, 3])).dense(), both.dense()[[70, 3]])


def test_long_eight_bit_products_are_the_same_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    linear, _ = product("w8a8")
    x = inputs(100)
    whole = linear(x, "prefill")

    monkeypatch.setattr("forethought.models.decoder.linear._ROWS", 32)

    assert torch.equal(linear(x, "prefill"), whole)


@pytest.mark.parametrize("weights", ["bf16", "int4", "int8", "w8a8"])
def test_every_format_adds_the_bias_and_prefill_of_all_but_w8a8_is_exact(weights: str) -> None:
    tensors = {"a.weight": matrix().bfloat16(), "a.bias": torch.ones(OUT).bfloat16()}
    packed = {f"a.{k}": v for k, v in pack_levels(quantise4(matrix())).items()}
    linear, x = build_linears(tensors, packed, weights)("a"), inputs(4)
    exact = F.linear(x, tensors["a.weight"], tensors["a.bias"])

    assert far(linear(x, "decode"), exact) < 0.1
    if weights != "w8a8":
        assert torch.equal(linear(x, "prefill"), exact)


def test_a_tied_head_is_the_embedding() -> None:
    tensors = {"embed.weight": matrix()}

    head = build_linears(tensors, {}, "bf16")("head")

    assert isinstance(head, DenseLinear)
    assert head.weight is tensors["embed.weight"]


def test_prefill_changes_no_bit_when_it_brings_a_weight_into_another_layout() -> None:
    weight, bias = matrix(rows=96, columns=160).bfloat16(), matrix(rows=1, columns=96)[0].bfloat16()
    often, plain = DenseLinear(weight, bias, keeps_copy=True), DenseLinear(weight, bias)
    for rows in [*range(1, 24), 64, 200]:
        x = inputs(rows, 160)
        assert torch.equal(often(x, "prefill"), plain(x, "prefill"))
        assert torch.equal(often(x, "prefill")[:2], often(x[:2], "prefill"))


def test_a_weight_gets_another_layout_only_where_it_is_used_often_and_may_stay() -> None:
    weight = matrix().bfloat16()
    if blocked(weight) is None:
        pytest.skip("this processor multiplies no bf16")
    often, seldom, never = (DenseLinear(weight, None, keeps_copy=k) for k in (True, True, False))
    for linear, uses in ((often, 40), (seldom, 3), (never, 40)):
        for _ in range(uses):
            linear(inputs(20), "prefill")
    assert "_blocked" in vars(often)
    assert "_blocked" not in vars(seldom)
    assert "_blocked" not in vars(never)


def test_floats_have_no_blocked_layout() -> None:
    assert blocked(matrix()) is None

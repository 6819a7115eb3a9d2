"""FLOPs that sparse prefills state before they run, against figures worked by hand."""

from __future__ import annotations

from forethought.contracts.records import LayerShape
from forethought.contracts.score_work import LayerSizes
from forethought.methods.sparse_prefill._half_pairs import estimated_pairs, half_pairs
from forethought.methods.sparse_prefill.flash_prefill import FlashPrefill
from forethought.methods.sparse_prefill.hyper_attention import HyperAttention
from forethought.methods.sparse_prefill.minference import MInference
from forethought.methods.sparse_prefill.vertical_slash import VerticalSlash

SHAPE = LayerShape(heads=4, kv_heads=2, head_dim=8, scale=0.35)
PAIR = 4 * 4 * 8
"""FLOPs of a query-key pair in all heads."""


def sizes(entries: int, ahead: int = 0) -> LayerSizes:
    return LayerSizes(SHAPE, 16, entries, ahead)


def test_halves_are_exact_when_short_and_estimated_between_long_ones() -> None:
    # 8 tokens: halves of 4 are halves of 2, with 3 + 3 + 2 x 2 pairs each. Between them each of
    # 4 queries has a block of 2, one sample, and 4 hash bits at half a pair.
    assert half_pairs(8, 2, lambda keys: estimated_pairs(keys, 2, 1, 4)) == 2 * 10 + 4 * (2 + 1 + 2)
    # 7 tokens: 4 and 3; the later half is 2 and 1.
    assert half_pairs(7, 2, lambda keys: 100.0) == 10 + (3 + 1 + 1 * 2) + 3 * 100


def test_hyper_attention_states_its_pairs_and_dense_layers() -> None:
    method = HyperAttention(block=2, sample=1, exact=2, bits=4, dense_layers=1)

    assert method.attention_flops(0, sizes(8)) == PAIR * 36
    assert method.attention_flops(1, sizes(8)) == PAIR * 40
    assert method.attention_flops(1, sizes(4)) == PAIR * 10


def test_vertical_slash_states_a_window_and_the_columns_before_it() -> None:
    method = VerticalSlash(columns=10, window=64, queries=3)

    found = method.attention_flops(0, sizes(200, ahead=2))

    # Blocks of 64, 64, 64 and 8 queries: keys of the block, up to 64 before it, then 10 columns.
    inside = 3 * (64 * 65 // 2) + 8 * 9 // 2
    before = 64 * 64 + 64 * (64 + 10) + 8 * (64 + 10)
    rows = PAIR / 2 * (3 + 2 + 1) * 200
    assert found == PAIR * (inside + before) + rows
    assert method.attention_flops(0, sizes(70)) == PAIR * 70 * 71 / 2


def test_prefills_whose_keys_the_text_chooses_count_as_dense() -> None:
    dense = PAIR * 200 * 201 / 2

    assert FlashPrefill().attention_flops(0, sizes(200)) == dense
    method = MInference(columns=20, slashes=30, queries=5)
    assert method.attention_flops(0, sizes(200)) == dense + PAIR / 2 * 5 * 200

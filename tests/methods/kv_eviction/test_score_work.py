"""The work of scores that methods state, against figures worked by hand for a tiny layer."""

from __future__ import annotations

from dataclasses import replace

from forethought.contracts.records import LayerShape, ModelShape
from forethought.contracts.score_work import LayerSizes, PromptSizes, ScorePass
from forethought.methods.kv_eviction._eviction import Eviction
from forethought.methods.kv_eviction.importance.accumulated import AccumulatedAttention
from forethought.methods.kv_eviction.importance.compact import Compact
from forethought.methods.kv_eviction.importance.critical import Critical
from forethought.methods.kv_eviction.importance.draft import DraftLookahead
from forethought.methods.kv_eviction.importance.expected import ExpectedImportance
from forethought.methods.kv_eviction.importance.far_heads import FarHeads
from forethought.methods.kv_eviction.importance.key_difference import KeyDifference
from forethought.methods.kv_eviction.importance.own_lookahead import OwnLookahead
from forethought.methods.kv_eviction.importance.predicted import Predicted
from forethought.methods.kv_eviction.importance.reconstruction import Reconstruction
from forethought.methods.kv_eviction.importance.window import WindowAttention
from forethought.methods.kv_eviction.laq import LAQ

SHAPE = LayerShape(heads=4, kv_heads=2, head_dim=8, scale=0.35)
LAYER = LayerSizes(SHAPE, hidden=16, entries=20)
MODEL = ModelShape((SHAPE,) * 3, 16, 97, 512, 1000, 1552)
WIDE = 4 * 8
"""A query's multiplications with one key in all heads."""


def test_rows_of_a_window_meet_all_entries() -> None:
    assert WindowAttention(5, 7, "max").layer_flops(LAYER) == 2 * WIDE * 5 * 20
    assert DraftLookahead(5, 7, "max").layer_flops(replace(LAYER, ahead=3)) == 2 * WIDE * 9 * 20


def test_a_window_of_more_queries_than_fit_at_once_is_cut_into_blocks() -> None:
    # 4 heads of 65,536 entries: 2 MiB hold two rows, and a block has at least 16.
    long = replace(LAYER, entries=65_536)

    rows = WindowAttention(40, 7, "max").layer_flops(long)

    assert rows == 2 * WIDE * (16 * (65_536 - 24) + 16 * (65_536 - 8) + 8 * 65_536)


def test_accumulated_attention_has_rows_of_the_new_entries_alone() -> None:
    every = AccumulatedAttention()

    assert every.layer_flops(LAYER) == 2 * WIDE * 20 * 20
    assert every.layer_flops(replace(LAYER, added=3, queries=256)) == 2 * WIDE * 3 * 20


def test_compactor_attends_within_chunks_and_sketches_keys() -> None:
    # 17 entries take part: attention 17 x 17, and 3 dimensions of 8 and then twice 3 products.
    found = Compact(12, sinks=2, window=1, sketch=3).layer_flops(LAYER)

    assert found == 2 * WIDE * 17 * 17 + 2 * 2 * 17 * 3 * (8 + 2 * 3)


def test_compactor_cuts_attention_at_256_entries() -> None:
    found = Compact(12, sinks=0, window=0, sketch=1).layer_flops(replace(LAYER, entries=1000))

    assert found == 2 * WIDE * 1000 * 256 + 2 * 2 * 1000 * (8 + 2)


def test_criticalkv_projects_every_value() -> None:
    window = Eviction(LAQ(keep=12), WindowAttention(5, 7, "max"))

    second = Critical(window).layer_flops(LAYER) - WindowAttention(5, 7, "max").layer_flops(LAYER)

    # Each of 4 heads projects 20 values of 8 to 16; the weights are unpacked by an identity of 32.
    assert second == 2 * 4 * 8 * 16 * (20 + 32)


def test_expected_attention_has_a_covariance_and_a_quadratic_form() -> None:
    every = ExpectedImportance(future=4, sinks=0)
    late = replace(LAYER, added=3, queries=9)

    assert every.layer_flops(LAYER) == 2 * 4 * 8 * 8 * (20 + 20)
    assert every.layer_flops(late) == 2 * 4 * 8 * 8 * (9 + 20)
    assert replace(every, covariance=False).layer_flops(late) == 2 * 4 * 8 * 8 * 9


def test_keydiff_compares_block_by_block_in_prefill() -> None:
    size = 2 * 8
    blocks = (8 + 5) + (8 + 5) + (8 + 2)  # the entries that stay, and the new block

    assert KeyDifference(8, block=5).layer_flops(LAYER) == 4 * size * (20 + blocks)
    assert KeyDifference(8, block=0).layer_flops(LAYER) == 4 * size * 20
    assert KeyDifference(8, block=5).layer_flops(replace(LAYER, added=1)) == 4 * size * 20


def test_a_predictor_maps_inputs_to_key_heads() -> None:
    assert Predicted().layer_flops(LAYER) == 2 * 20 * 16 * 2
    assert FarHeads().score_work(PromptSizes(MODEL, 20, 12)).flops == 3 * 2 * WIDE * 500


def test_kvzip_repeats_the_document_in_chunks() -> None:
    prompt = PromptSizes(MODEL, 24, 12, text=(3, 20), asked=lambda text: 5)

    work = Reconstruction(chunk=12, overlap=0, sinks=2).score_work(prompt)

    # 12 and 5 tokens after requests of 5; each sees two sinks, its chunk and what is repeated.
    assert work.passes == (ScorePass(17, 20), ScorePass(10, 20))
    assert work.flops == 3 * 2 * WIDE * (17 * (2 + 12 + 17) + 10 * (2 + 5 + 10))


def test_kvzip_plus_projects_the_values_of_each_chunk_and_later_requests_quote() -> None:
    prompt = PromptSizes(MODEL, 24, 12, text=(0, 20), asked=len)
    plain, normalised = (Reconstruction(12, 4, 2, one).score_work(prompt) for one in (False, True))

    projected = 2 * 4 * 8 * 16 * ((12 + 32) + (8 + 32))
    assert normalised.flops - plain.flops == 3 * projected
    whole = len("Repeat the previous context exactly.")
    part = len("Repeat the part of the previous context exactly, starting with ")
    assert [one.tokens for one in plain.passes] == [12 + whole, 8 + part + 2 * 4]


def test_laq_decodes_over_the_kept_entries_and_scores_twice() -> None:
    prompt = PromptSizes(MODEL, 20, 12)
    first = Eviction(LAQ(keep=12), WindowAttention(6, 7, "max"))

    work = OwnLookahead(first, lookahead=3, window=4).score_work(prompt)

    assert work.passes == tuple(ScorePass(1, 12 + step, decodes=True) for step in range(3))
    # First 6 rows; then 4 and 3 more, whose queries lie beyond the 20 entries.
    assert work.flops == 3 * 2 * WIDE * (6 * 20 + (4 + 3) * 20)

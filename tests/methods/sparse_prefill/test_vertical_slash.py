"""SpecKV's sparse prefill: columns by a drafted answer's attention, and a window."""

from dataclasses import replace

import pytest
import torch

from forethought.cost.flops import attention_flops, causal_pairs
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.new_tokens import LayerHook
from forethought.methods.kv_eviction.speckv import SpecKV
from forethought.methods.sparse_prefill.vertical_slash import VerticalSlash
from tests.engine.written_out import inputs, shape_of, view_over
from tests.methods.reference import TinyDraft, prompt_of, window_keep
from tests.methods.sparse_prefill.test_lines import shown
from tests.methods.sparse_prefill.thinned import slow_logits, thinned_logits, weights_of
from tests.tiny import batch_of, fresh_logits, tiny_decoder, tokens_of

LENGTH, GUESSED = 230, 5


@pytest.fixture(scope="module")
def decoder():
    return tiny_decoder(seed=3)


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.inference_mode():
        yield


@pytest.mark.parametrize("guessed", [0, GUESSED])
@pytest.mark.parametrize("kernel", [1, 7])
def test_columns_are_what_the_last_queries_and_the_guess_attend_to(guessed, kernel):
    queries, keys, values = inputs(LENGTH + guessed, LENGTH + guessed)
    method = VerticalSlash(columns=40, window=64, sinks=0, queries=8, kernel=kernel)
    view = view_over(queries, keys, values, shape_of(), prompt_length=LENGTH)

    lines = method.lines(view)

    expected = window_keep(
        weights_of(queries, keys, shape_of()), 2, LENGTH,
        budget=40, window=9, kernel=kernel, drop=9, reduction="max", pool="max",
    )  # fmt: skip
    assert lines.columns.tolist() == expected
    assert lines.slashes.tolist() == [[64, 0]] * 2


def test_the_first_tokens_take_the_place_of_the_worst_columns():
    queries, keys, values = inputs(LENGTH, LENGTH)
    view = view_over(queries, keys, values, shape_of())
    settings = {"window": 64, "queries": 8, "kernel": 1}

    with_sinks = VerticalSlash(columns=20, sinks=4, **settings).lines(view)
    alone = VerticalSlash(columns=20, sinks=0, **settings).lines(view)

    for forced, free in zip(with_sinks.columns.tolist(), alone.columns.tolist(), strict=True):
        assert len(set(forced)) == 20
        assert set(range(4)) <= set(forced) <= {0, 1, 2, 3, *free}


def test_a_window_is_rounded_up_to_whole_blocks():
    queries, keys, values = inputs(LENGTH, LENGTH)
    view = view_over(queries, keys, values, shape_of())

    lines = VerticalSlash(columns=20, window=65).lines(view)

    assert lines.slashes.tolist() == [[128, 64, 0]] * 2
    assert not VerticalSlash(columns=20, window=65).pays(148)
    assert VerticalSlash(columns=20, window=65).pays(149)


def test_a_prompt_is_read_as_by_loops(decoder):
    tokens = tokens_of(LENGTH + GUESSED)
    method = VerticalSlash(columns=15, window=64, sinks=0, queries=8, kernel=3)

    logits = thinned_logits(decoder, method, tokens, LENGTH)

    def chosen(attention):
        columns = window_keep(
            attention, 2, LENGTH,
            budget=15, window=9, kernel=3, drop=9, reduction="max", pool="max",
        )  # fmt: skip
        return columns, [[64, 0]] * 2

    expected = slow_logits(decoder, tokens, chosen)
    torch.testing.assert_close(logits, expected)
    assert not torch.allclose(logits, fresh_logits(decoder, tokens))


@pytest.mark.parametrize("settings", [{"columns": 300}, {"columns": 1, "window": 300}])
def test_at_its_off_value_nothing_is_thinned_and_no_draft_runs(decoder, settings):
    tokens, draft = tokens_of(LENGTH), TinyDraft(decoder)
    method, prompt = VerticalSlash(**settings), prompt_of(tokens)

    assert not method.pays(LENGTH)
    assert method.on_prompt(prompt, draft, 4) is prompt
    assert draft.runs == 0
    logits = thinned_logits(decoder, method, tokens, LENGTH)
    assert torch.equal(logits, fresh_logits(decoder, tokens))


def test_a_draft_writes_the_look_ahead_once_for_speckv_too(decoder):
    draft, thin = TinyDraft(decoder), VerticalSlash(columns=20, window=64, lookahead=3)

    evicting = SpecKV(keep=60, window=4).on_prompt(prompt_of(tokens_of(LENGTH)), draft, 6)
    both = thin.on_prompt(evicting, draft, 6)
    alone = thin.on_prompt(prompt_of(tokens_of(LENGTH)), draft, 6)

    assert both is evicting
    assert draft.runs == 2
    assert alone.lookahead == both.lookahead[:3]


def test_layers_with_a_sliding_window_are_left_alone():
    queries, keys, values = inputs(LENGTH, LENGTH)
    view = view_over(queries, keys, values, shape_of(window=100))

    assert VerticalSlash(columns=20, window=64).on_attention(view) is None


def test_the_meter_counts_the_pairs_seen_and_the_rows_that_chose(decoder):
    tokens, method, found = tokens_of(LENGTH), VerticalSlash(columns=9, window=64), []
    dense, thin = batch_of(decoder), batch_of(decoder)

    def choose(view):
        found.append(method.lines(replace(view, meter=None)))
        return method.on_attention(view)

    dense.prefill_whole(SequenceCache(3), tokens, LayerHook(lambda view: None, LENGTH))
    thin.prefill_whole(
        SequenceCache(3), tokens, LayerHook(lambda view: None, LENGTH, attend=choose)
    )

    layer = decoder.shape.layers[0]
    seen = [
        sum(map(len, shown(columns, slashes, LENGTH)))
        for lines in found
        for columns, slashes in zip(lines.columns.tolist(), lines.slashes.tolist(), strict=True)
    ]
    spared = attention_flops(layer, 3 * causal_pairs(0, LENGTH) - sum(seen) / 2)
    chose = attention_flops(layer, 3 * 33 * LENGTH) / 2
    assert spared > 0
    assert thin.meter.flops == pytest.approx(dense.meter.flops - spared + chose, rel=1e-12)

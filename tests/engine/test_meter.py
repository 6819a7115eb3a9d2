import pytest
import torch

import forethought.engine.batch_attention as batch_module
from forethought.cost.flops import attention_flops, causal_pairs, entry_bytes, prefill_flops
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Meter
from forethought.engine.new_tokens import LayerHook
from tests.tiny import batch_of, tiny_decoder, tokens_of


@pytest.mark.parametrize("window", [None, 1, 3, 7, 50])
@pytest.mark.parametrize("past", [0, 1, 5])
@pytest.mark.parametrize("tokens", [1, 4, 9])
def test_pairs_equal_counting_them(past, tokens, window):
    counted = sum(
        1
        for query in range(past, past + tokens)
        for key in range(query + 1)
        if window is None or query - key < window
    )

    assert causal_pairs(past, tokens, window) == counted


def test_chunks_cost_what_the_whole_prompt_costs(monkeypatch):
    decoder = tiny_decoder()
    monkeypatch.setattr("forethought.engine.batch.CHUNK", 16)
    batch = batch_of(decoder)

    with torch.inference_mode():
        batch.prefill(SequenceCache(3), tokens_of(50))

    assert batch.meter.flops == prefill_flops(decoder.shape, 50)
    assert batch.meter.peak_cache_bytes >= 50 * entry_bytes(decoder.shape, 8)


def test_stopping_early_costs_less():
    decoder = tiny_decoder()
    batch = batch_of(decoder)

    with torch.inference_mode():
        batch.prefill_whole(SequenceCache(3), tokens_of(50), LayerHook(lambda view: None, 50), 1)

    assert batch.meter.flops == prefill_flops(decoder.shape, 50, layers=1)
    assert batch.meter.flops < prefill_flops(decoder.shape, 50) / 2


def test_the_attention_of_the_layer_at_which_a_pass_stops_is_neither_computed_nor_charged(
    monkeypatch,
):
    decoder, seen, attended = tiny_decoder(), [], []
    dense = batch_module.attend_causal

    def counted(queries, *others):
        attended.append(len(queries))
        return dense(queries, *others)

    monkeypatch.setattr(batch_module, "attend_causal", counted)
    hook = LayerHook(lambda view: seen.append(next(view.window_rows(1))), 50)
    with torch.inference_mode():
        early, whole = batch_of(decoder), batch_of(decoder)
        early.prefill_whole(SequenceCache(3), tokens_of(50), hook, 2)
        whole.prefill_whole(SequenceCache(3), tokens_of(50), hook)

    assert attended == [50] * 4  # once in the pass that stops, and in each of three layers
    assert all(torch.equal(a, b) for a, b in zip(seen[:2], seen[2:4], strict=True))
    rows = 2 * attention_flops(decoder.shape.layers[0], 50) / 2  # no product with the values
    assert early.meter.flops == prefill_flops(decoder.shape, 50, layers=2) + rows


def test_a_decode_step_that_shows_its_layers_attends_as_any_other():
    decoder, seen = tiny_decoder(), []
    batch, row = batch_of(decoder), SequenceCache(3)
    hook = LayerHook(lambda view: seen.append((view.layer, view.keys.shape[1])), 50)
    with torch.inference_mode():
        batch.prefill(row, tokens_of(50))
        plain, shown = row.fork(), row.fork()

        assert torch.equal(batch.step([shown], [7], hook), batch.step([plain], [7]))

    assert seen == [(0, 51), (1, 51), (2, 51)]


def test_rows_that_share_a_prompt_read_it_once_a_step():
    decoder = tiny_decoder()
    batch, row = batch_of(decoder), SequenceCache(3)
    with torch.inference_mode():
        batch.prefill(row, tokens_of(50))
        rows = [row, row.fork(), row.fork()]
        before = batch.meter.bytes_moved

        batch.step(rows, [1, 2, 3])

    entries = 50 + 3  # the prompt once, and each row's own token
    moved = decoder.weight_bytes("decode") + entries * entry_bytes(decoder.shape, 8)
    assert batch.meter.bytes_moved - before == moved


@pytest.mark.parametrize("layers", [None, 2])
def test_entries_that_are_dropped_after_reading_were_read(layers):
    decoder = tiny_decoder()
    none = torch.empty((2, 0), dtype=torch.long)
    moved = []
    for tap in (lambda view: None, lambda view: none):
        batch = batch_of(decoder)
        with torch.inference_mode():
            batch.prefill_whole(SequenceCache(3), tokens_of(50), LayerHook(tap, 50), layers)
        moved.append(batch.meter.bytes_moved)

    share = 1 if layers is None else layers / 3
    cache = 50 * share * entry_bytes(decoder.shape, 8)
    assert moved == [decoder.weight_bytes("prefill", layers) + cache] * 2


def test_stages_add_up_what_the_clock_says():
    ticks = iter([1.0, 3.5, 10.0, 11.0])
    meter = Meter(lambda: next(ticks))

    for _ in range(2):
        with meter.stage("draft"):
            pass

    assert meter.stages == {"draft": 3.5}

import gc
from weakref import ref

import pytest
import torch

from forethought.engine.cache.sequence_cache import SequenceCache, cache_bytes, segments_of
from forethought.engine.new_tokens import LayerHook
from tests.tiny import batch_of, fresh_logits, tiny_decoder, tokens_of


@pytest.fixture(scope="module")
def decoder():
    return tiny_decoder()


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.inference_mode():
        yield


def close(left, right):
    torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-5)


def test_reading_in_pieces_equals_reading_at_once(decoder):
    tokens, batch, cache = tokens_of(50), batch_of(decoder), SequenceCache(3)

    batch.prefill(cache, tokens[:20])
    batch.prefill(cache, tokens[20:33])
    for token in tokens[33:]:
        logits = batch.step([cache], [token])

    close(logits[0], fresh_logits(decoder, tokens))


def test_forks_share_their_past_and_part_afterwards(decoder):
    past, batch, cache = tokens_of(30), batch_of(decoder), SequenceCache(3)
    batch.prefill(cache, past)

    rows = [cache, cache.fork(), cache.fork()]
    batch.step(rows, [1, 2, 3])
    logits = batch.step(rows, [4, 5, 6])

    for got, own in zip(logits, ([1, 4], [2, 5], [3, 6]), strict=True):
        close(got, fresh_logits(decoder, past + own))
    assert len({id(r.views[0].segment) for r in rows}) == 1


def test_forks_of_forks_see_every_ancestor(decoder):
    batch, cache = batch_of(decoder), SequenceCache(3)
    batch.prefill(cache, tokens_of(12))
    batch.step([cache], [7])
    child = cache.fork()
    batch.step([child], [8])
    grandchild = child.fork()

    logits = batch.step([grandchild, cache, child], [9, 10, 11])

    base = [*tokens_of(12), 7]
    close(logits[0], fresh_logits(decoder, [*base, 8, 9]))
    close(logits[1], fresh_logits(decoder, [*base, 10]))
    close(logits[2], fresh_logits(decoder, [*base, 8, 11]))


@pytest.mark.parametrize("fork_between", [False, True])
def test_rewinding_forgets_exactly_what_came_after(decoder, fork_between):
    past, batch, cache = tokens_of(25), batch_of(decoder), SequenceCache(3)
    batch.prefill(cache, past)
    mark = cache.mark()
    batch.step([cache], [3])
    if fork_between:
        cache.fork()
    batch.step([cache], [4])

    cache.rewind(mark)
    logits = batch.step([cache], [5])

    close(logits[0], fresh_logits(decoder, [*past, 5]))


def test_forgetting_drops_the_newest_tokens(decoder):
    past, batch, cache = tokens_of(25), batch_of(decoder), SequenceCache(3)
    batch.prefill(cache, past)

    cache.drop_newest(4)
    logits = batch.step([cache], [past[21]])

    close(logits[0], fresh_logits(decoder, past[:22]))


def test_keeping_everything_changes_nothing(decoder):
    tokens, batch, cache = tokens_of(40), batch_of(decoder), SequenceCache(3)
    everything = torch.arange(40).expand(2, -1)

    batch.prefill_whole(cache, tokens, LayerHook(lambda view: everything, 40))
    logits = batch.step([cache], [1])

    close(logits[0], fresh_logits(decoder, [*tokens, 1]))


def test_dropped_entries_are_gone_and_the_rest_keep_position_and_value(decoder):
    tokens, batch = tokens_of(40), batch_of(decoder)
    cache, full = SequenceCache(3), SequenceCache(3)
    batch.prefill(full, tokens)
    kept = torch.stack([torch.arange(0, 40, 4), torch.arange(3, 40, 4)])

    batch.prefill_whole(cache, tokens, LayerHook(lambda view: kept, 40))

    for layer in range(3):
        mine, whole = cache.tail.layers[layer], full.tail.layers[layer]
        for head in range(2):
            assert torch.equal(mine.keys[head], whole.keys[head, kept[head]])
            assert torch.equal(mine.values[head], whole.values[head, kept[head]])
        assert torch.equal(torch.stack(cache.head_positions(layer, 2)), kept)
    assert cache.next == 40


def test_dropping_twice_keeps_the_first_positions(decoder):
    batch, cache = batch_of(decoder), SequenceCache(3)
    batch.prefill(cache, tokens_of(40))

    cache.keep(0, torch.stack([torch.arange(0, 40, 4), torch.arange(3, 40, 4)]))
    cache.keep(0, torch.tensor([[1, 4, 9], [0, 1, 2]]))

    assert [p.tolist() for p in cache.head_positions(0, 2)] == [[4, 16, 36], [3, 7, 11]]


def test_entries_added_after_a_drop_can_be_dropped_too(decoder):
    batch, cache = batch_of(decoder), SequenceCache(3)
    batch.prefill(cache, tokens_of(40))
    for layer in range(3):
        cache.keep(layer, torch.arange(0, 40, 4).expand(2, -1))
    batch.step([cache], [1])
    batch.step([cache], [2])

    cache.keep(1, torch.tensor([[0, 9, 10, 11], [8, 9, 10, 11]]))

    assert [p.tolist() for p in cache.head_positions(1, 2)] == [[0, 36, 40, 41], [32, 36, 40, 41]]


def test_rewinding_over_a_drop_is_refused(decoder):
    batch, cache = batch_of(decoder), SequenceCache(3)
    batch.prefill(cache, tokens_of(10))
    mark = cache.mark()
    batch.step([cache], [1])
    cache.keep(0, torch.arange(4, 11).expand(2, -1))

    with pytest.raises(AssertionError, match="dropped entries cannot come back"):
        cache.rewind(mark)


def test_layers_may_keep_different_numbers(decoder):
    tokens, batch, cache = tokens_of(40), batch_of(decoder), SequenceCache(3)
    sizes = [5, 17, 40]

    batch.prefill_whole(
        cache, tokens, LayerHook(lambda v: torch.arange(sizes[v.layer]).expand(2, -1), 40)
    )
    batch.step([cache], [1])

    assert [entries.length for entries in cache.tail.layers] == [6, 18, 41]
    assert cache.head_positions(0, 2)[0].tolist() == [0, 1, 2, 3, 4, 40]


def test_reported_bytes_are_those_of_the_storages_held(decoder):
    tokens, batch, cache = tokens_of(64), batch_of(decoder), SequenceCache(3)
    batch.prefill(cache, tokens)
    before = cache_bytes([cache])
    rows = [cache, cache.fork(), cache.fork()]
    batch.step(rows, [1, 2, 3])

    storages = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
        for r in rows
        for segment in segments_of(r)
        for entries in segment.layers
        if entries.length
        for tensor in (entries.keys, entries.values)
    }

    assert cache_bytes(rows) == sum(storages.values())
    assert before == 64 * 3 * 2 * 2 * 8 * 8  # tokens, layers, k and v, heads, dimensions, bytes


def test_memory_falls_when_entries_are_dropped(decoder):
    tokens, batch, cache = tokens_of(64), batch_of(decoder), SequenceCache(3)

    batch.prefill_whole(cache, tokens, LayerHook(lambda view: torch.arange(4).expand(2, -1), 64))

    assert cache_bytes([cache]) == 4 * 3 * 2 * 2 * 8 * 8
    # Layers were cut one by one: never more than one whole layer and the cut ones.
    assert batch.meter.peak_cache_bytes <= (64 + 2 * 4) * 2 * 2 * 8 * 8


def test_nothing_holds_on_to_what_was_dropped(decoder):
    batch, cache = batch_of(decoder), SequenceCache(3)
    batch.prefill(cache, tokens_of(40))
    dropped = [ref(layer) for layer in cache.tail.layers]

    for layer in range(3):
        cache.keep(layer, torch.arange(4).expand(2, -1))
    gc.collect()

    assert [one() for one in dropped] == [None] * 3


def test_sliding_windows_hold_across_forks_and_drops():
    windowed = tiny_decoder(model_type="mistral", sliding_window=16)
    past, batch, cache = tokens_of(40), batch_of(windowed), SequenceCache(3)
    batch.prefill(cache, past)
    rows = [cache, cache.fork()]

    for a, b in ((1, 2), (3, 4), (5, 6)):
        logits = batch.step(rows, [a, b])

    close(logits[0], fresh_logits(windowed, [*past, 1, 3, 5]))
    close(logits[1], fresh_logits(windowed, [*past, 2, 4, 6]))
    unwindowed = tiny_decoder()
    assert not torch.allclose(logits[0], fresh_logits(unwindowed, [*past, 1, 3, 5]), atol=1e-2)


def test_packed_prompts_of_different_lengths_equal_each_alone(decoder):
    from forethought.engine.new_tokens import NewTokens

    prompts = [tokens_of(n, seed=n) for n in (1, 9, 33)]

    parts = [NewTokens(SequenceCache(3), prompt) for prompt in prompts]
    logits = batch_of(decoder).forward(parts, phase="prefill")

    for got, prompt in zip(logits, prompts, strict=True):
        close(got, fresh_logits(decoder, prompt))

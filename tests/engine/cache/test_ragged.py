"""Caches whose heads hold different numbers of entries."""

import pytest
import torch

from forethought.engine.attention.decode import attend_step
from forethought.engine.cache.query_window import QueryWindow
from forethought.engine.cache.sequence_cache import SequenceCache, cache_bytes, segments_of
from forethought.engine.decode_eviction import DecodeEviction
from forethought.engine.layer_view import view_of
from forethought.engine.new_tokens import LayerHook
from tests.engine.written_out import inputs, plain, shape_of
from tests.tiny import batch_of, tiny_decoder, tokens_of

LENGTH = 40
KEPT = [torch.arange(0, LENGTH, 4), torch.tensor([1, 2, 39])]


@pytest.fixture(scope="module")
def decoder():
    return tiny_decoder()


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.inference_mode():
        yield


def ragged_row(decoder, kept=KEPT):
    batch, cache = batch_of(decoder), SequenceCache(3)
    batch.prefill_whole(cache, tokens_of(LENGTH), LayerHook(lambda view: kept, LENGTH))
    return batch, cache


def held_storages(cache):
    """Bytes of every storage that the row's tensors lie in, each once."""
    tensors = [
        tensor
        for segment in segments_of(cache)
        for layer in segment.layers
        for part in layer.parts()
        for tensor in (part.block.keys, part.block.values)
    ]
    return sum(
        {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values()
    )


def test_heads_keep_what_each_was_told_and_memory_falls(decoder):
    _, cache = ragged_row(decoder)

    assert [p.tolist() for p in cache.head_positions(1, 2)] == [kept.tolist() for kept in KEPT]
    assert cache.lengths() == (6.5,) * 3
    assert cache_bytes([cache]) == held_storages(cache) == 3 * 13 * 2 * 8 * 8


@pytest.mark.parametrize("window", [None, 20])
@pytest.mark.parametrize("frozen", [False, True])
def test_attention_over_them_is_attention_without_what_was_dropped(window, frozen):
    shape = shape_of(window=window)
    queries, keys, values = inputs(1, LENGTH + 1)
    cache = SequenceCache(1)
    cache.advance(LENGTH)
    cache.append(0, keys[:, :LENGTH].transpose(0, 1), values[:, :LENGTH].transpose(0, 1))
    cache.keep(0, KEPT)
    if frozen:
        cache.freeze()
    cache.advance(1)
    cache.append(0, keys[:, LENGTH:].transpose(0, 1), values[:, LENGTH:].transpose(0, 1))

    out = attend_step(queries, [cache], 0, shape)

    hidden = torch.ones(2, 1, LENGTH + 1, dtype=torch.bool)
    for head, kept in enumerate(KEPT):
        hidden[head, 0, kept] = False
    hidden[..., LENGTH] = False
    if window:
        hidden |= LENGTH - torch.arange(LENGTH + 1) >= window
    expected = plain(queries, keys, values, shape, hidden)
    torch.testing.assert_close(out, expected, rtol=1e-6, atol=1e-6)


def test_many_tokens_see_what_a_step_at_a_time_sees(decoder):
    batch, together = ragged_row(decoder)
    _, single = ragged_row(decoder)

    logits = batch.prefill(together, [3, 4, 5])
    for token in (3, 4, 5):
        stepped = batch.step([single], [token])[0]

    torch.testing.assert_close(logits, stepped)
    assert together.lengths() == single.lengths() == (9.5,) * 3


def test_rewinding_forgets_as_many_of_every_head(decoder):
    batch, cache = ragged_row(decoder)
    mark = cache.mark()
    batch.prefill(cache, [3, 4, 5])

    cache.rewind(mark)

    assert [len(p) for p in cache.head_positions(0, 2)] == [10, 3]
    assert cache.next == LENGTH


def test_a_head_may_keep_nothing(decoder):
    batch, cache = ragged_row(decoder, [torch.arange(4), torch.arange(0)])

    logits = batch.step([cache], [1])

    assert logits.isfinite().all()
    assert [len(p) for p in cache.head_positions(0, 2)] == [5, 1]


def test_cutting_twice_keeps_the_first_places(decoder):
    batch, cache = ragged_row(decoder)
    batch.step([cache], [1])

    cache.keep(0, [torch.tensor([0, 10]), torch.tensor([2, 3])])

    assert [p.tolist() for p in cache.head_positions(0, 2)] == [[0, 40], [39, 40]]


def test_a_view_shows_filling_as_no_entry(decoder):
    batch, cache = ragged_row(decoder)
    cache.query_window = QueryWindow(4)
    batch.step([cache], [1])

    view = view_of(cache, 0, decoder, cache.query_window.at(0), prompt_length=LENGTH,
                   protected=frozenset(), meter=batch.meter)  # fmt: skip
    (rows,) = view.window_rows(1)

    assert view.held.tolist() == [11, 4]
    assert view.positions[1].tolist()[:4] == [1, 2, 39, 40]
    torch.testing.assert_close(rows.sum(-1).cpu(), torch.ones(2, 2, 1))
    assert (rows[1, :, :, 4:] == 0).all()


def test_a_part_of_a_shared_row_leaves_the_whole_as_it_is(decoder):
    batch, cache = batch_of(decoder), SequenceCache(3)
    logits = batch.prefill(cache, tokens_of(LENGTH))
    cache.freeze()

    part = cache.subset([KEPT, None, KEPT])
    batch.step([part], [1])

    assert cache.lengths() == (LENGTH,) * 3
    assert part.lengths() == (7.5, LENGTH + 1, 7.5)
    again = batch.step([cache.fork()], [1])
    whole = SequenceCache(3)
    assert torch.equal(logits, batch.prefill(whole, tokens_of(LENGTH)))
    torch.testing.assert_close(again, batch.step([whole], [1]))


def test_a_review_cuts_again_and_again_and_carries_what_was_remembered(decoder):
    batch, cache = batch_of(decoder), SequenceCache(3)
    cache.query_window = QueryWindow(8)
    batch.prefill(cache, tokens_of(LENGTH))
    lengths, carried = [], []

    def tap(view):
        carried.append(None if view.memory is None else view.memory.shape[1])
        view.remember(torch.arange(view.keys.shape[1]).expand(2, -1).double())
        return torch.arange(view.keys.shape[1])[-30:].expand(2, -1)

    review = DecodeEviction(tap, decoder, 5, LENGTH, frozenset())
    for token in range(12):
        batch.step([cache], [token])
        review.after_step(cache, batch.meter)
        lengths.append(cache.lengths()[0])

    assert lengths == [41, 42, 43, 44, 30, 31, 32, 33, 34, 30, 31, 32]
    assert carried == [None] * 3 + [30] * 3
    assert cache.memory[0][0, 0] == 5  # what was fifth of 35 came first of 30

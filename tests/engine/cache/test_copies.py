"""A cache as it was at a mark, while the other goes on."""

import pytest
import torch

from forethought.engine.cache.sequence_cache import SequenceCache, segments_of
from tests.tiny import batch_of, fresh_logits, tiny_decoder, tokens_of


@pytest.fixture(scope="module")
def decoder():
    return tiny_decoder()


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.inference_mode():
        yield


@pytest.mark.parametrize("before", [0, 1, 3])
@pytest.mark.parametrize("forked", [False, True])
def test_a_row_goes_on_from_a_mark_as_if_the_other_had_not(decoder, before, forked):
    past, own, batch, cache = tokens_of(20), [3, 4, 5][:before], batch_of(decoder), SequenceCache(3)
    batch.prefill(cache, past)
    cache = cache.fork()
    for token in own:
        batch.step([cache], [token])
    mark = cache.mark()
    for token in (7, 8):
        batch.step([cache], [token])
    if forked:
        cache.fork()

    second = SequenceCache.copy_at(mark)
    logits = batch.step([cache, second], [9, 10])

    expected = [fresh_logits(decoder, [*past, *own, 7, 8, 9])]
    expected.append(fresh_logits(decoder, [*past, *own, 10]))
    torch.testing.assert_close(logits, torch.stack(expected), rtol=1e-4, atol=1e-5)


def test_the_prompt_is_shared_and_the_rest_is_one_piece_however_often(decoder):
    batch, cache = batch_of(decoder), SequenceCache(3)
    batch.prefill(cache, tokens_of(20))
    cache = cache.fork()
    (prompt,) = cache.views
    for token in range(5):
        batch.step([cache], [token])
        second = SequenceCache.copy_at(cache.mark())
        batch.step([second], [9])
        cache, second = second, cache

        assert cache.views == (prompt,)
        assert len(segments_of(cache)) == 2
        assert cache.tail is not second.tail


def test_a_mark_whose_entries_were_dropped_since_is_refused(decoder):
    batch, cache = batch_of(decoder), SequenceCache(3)
    batch.prefill(cache, tokens_of(20))
    mark = cache.mark()
    cache.keep(1, [torch.arange(4)] * 2)
    with pytest.raises(AssertionError, match="cannot come back"):
        SequenceCache.copy_at(mark)

"""H2O: attention summed over all queries, carried on while an answer is written."""

import pytest
import torch

from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.new_tokens import LayerHook
from forethought.methods.kv_eviction._entries import entry_places
from forethought.methods.kv_eviction.h2o import H2O
from forethought.methods.kv_eviction.importance.accumulated import AccumulatedAttention
from tests.methods.decode_cuts import check_decode_cuts, received
from tests.methods.reference import attention_matrices, evicted_row, prompt_of, seen_layer
from tests.tiny import batch_of, tiny_decoder, tokens_of

LENGTH = 40


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.inference_mode():
        yield


def sums_of(view):
    return AccumulatedAttention().score_layer(view, entry_places(view))


def column_sums(attention, kv_heads=2):
    heads, _, length = attention.shape
    return attention.view(kv_heads, heads // kv_heads, -1, length).mean(1).sum(1).float()


def test_scores_are_the_column_sums_of_the_whole_attention(monkeypatch):
    decoder, tokens, found = tiny_decoder(seed=3), tokens_of(LENGTH), []
    monkeypatch.setattr("forethought.cost.flops._SCORE_BYTES", 4 * 4 * LENGTH * 7)
    look = LayerHook(lambda view: found.append(sums_of(view)), LENGTH)

    batch_of(decoder).prefill_whole(SequenceCache(3), tokens, look)

    for own, (attention, _, _) in zip(found, attention_matrices(decoder, tokens), strict=True):
        torch.testing.assert_close(own, column_sums(attention), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(own.sum(1).cpu(), torch.full((2,), float(LENGTH)))


def test_even_attention_adds_up_to_the_closed_form():
    view = seen_layer(0, 20)
    view.keys.zero_()

    expected = [sum(1 / (i + 1) for i in range(j, 20)) for j in range(20)]

    torch.testing.assert_close(sums_of(view)[0], torch.tensor(expected))


def test_sums_go_on_with_the_queries_since():
    view = seen_layer(1, 30)
    whole = sums_of(view)
    first = seen_layer(1, 30)
    first.queries, first.keys = first.queries[:22], first.keys[:, :22]
    before = sums_of(first)

    later = seen_layer(1, 30, memory=before)
    later.queries = later.queries[-12:]  # more than are new

    torch.testing.assert_close(sums_of(later), whole)
    torch.testing.assert_close(later.memory, whole)


def test_heads_of_different_lengths_go_on_with_their_own_sums():
    held = torch.tensor([9, 6])
    before = torch.tensor([[1.0, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 99, 99, 99]])
    view = seen_layer(2, 9, held=held, memory=before, queries=2)
    rows = next(view.window_rows(2)).mean(1).sum(1)

    found = sums_of(view)

    torch.testing.assert_close(found[0], rows[0] + torch.tensor([1.0, 2, 3, 4, 5, 6, 7, 0, 0]))
    torch.testing.assert_close(found[1, :6], rows[1, :6] + torch.tensor([1.0, 2, 3, 4, 0, 0]))


def test_heavy_hitters_and_the_newest_are_kept():
    decoder, tokens = tiny_decoder(seed=3), tokens_of(LENGTH)

    _, row = evicted_row(decoder, H2O(keep=12, recent=0.25, every=0), prompt_of(tokens))

    for layer, (attention, _, _) in enumerate(attention_matrices(decoder, tokens)):
        sums = column_sums(attention)[:, : LENGTH - 3]
        heavy = sums.sort(descending=True, stable=True).indices[:, :9].sort().values
        for head in range(2):
            expected = [*heavy[head].tolist(), *range(LENGTH - 3, LENGTH)]
            assert row.tail.layers[layer].kept[head].tolist() == expected


@pytest.mark.parametrize("every", [1, 4])
def test_an_answer_never_holds_more_than_the_budget_and_lost_entries_stay_lost(every):
    decoder, method = tiny_decoder(seed=3), H2O(keep=16, every=every)

    row = check_decode_cuts(decoder, method, prompt_of(tokens_of(LENGTH)), range(12), received)

    assert row.lengths() == (16 - every,) * 3

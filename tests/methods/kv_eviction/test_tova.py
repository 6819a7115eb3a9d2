"""TOVA: one set of entries for all heads of a layer, by the last query's attention."""

import pytest
import torch

from forethought.methods.kv_eviction.evict import Evict
from forethought.methods.kv_eviction.tova import TOVA
from tests.methods.decode_cuts import check_decode_cuts
from tests.methods.reference import attention_matrices, evicted_row, prompt_of, seen_layer
from tests.tiny import fresh_logits, tiny_decoder, tokens_of

LENGTH = 40


@pytest.fixture(scope="module")
def decoder():
    return tiny_decoder(seed=3)


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.inference_mode():
        yield


def last_row(layer, number):
    """The last query's attention, averaged over all query heads; the same for every key head."""
    position, queries = layer.queries[-1]
    groups = len(queries) // len(layer.heads)
    total = [0.0] * len(layer.heads[0].positions)
    for head, query in enumerate(queries):
        weights = layer.weights(layer.heads[head // groups], position, query)
        total = [t + float(w) / len(queries) for t, w in zip(total, weights, strict=True)]
    return total


@pytest.mark.parametrize("seed", range(3))
def test_all_heads_keep_the_entries_of_the_highest_mean_attention(decoder, seed):
    tokens = tokens_of(LENGTH, seed)

    _, row = evicted_row(decoder, TOVA(keep=12, every=0), prompt_of(tokens, {0, 5}))

    for layer, (attention, _, _) in enumerate(attention_matrices(decoder, tokens)):
        means = [sum(float(head[-1, j]) for head in attention) / 4 for j in range(LENGTH)]
        free = [j for j in range(LENGTH - 1) if j not in (0, 5)]
        best = sorted(free, key=lambda j: (-means[j], j))[:9]
        expected = sorted([0, 5, LENGTH - 1, *best])
        assert row.tail.layers[layer].kept.tolist() == [expected, expected]


@pytest.mark.parametrize("every", [1, 3])
def test_an_answer_loses_the_least_attended_entry_of_all_heads(decoder, every):
    prompt, method = prompt_of(tokens_of(LENGTH), protected={0, 5}), TOVA(keep=14, every=every)

    row = check_decode_cuts(decoder, method, prompt, range(12), last_row)

    for layer in range(3):
        first, *others = (head.tolist() for head in row.head_positions(layer, 2))
        assert all(other == first for other in others)


def test_the_paper_evicts_after_every_token():
    assert TOVA().evicts_every() == 1


def test_with_one_key_head_it_is_the_last_row_of_snapkv():
    view = seen_layer(1, LENGTH, kv_heads=1)

    kept = TOVA(keep=9, every=0).on_layer(view)
    plain = Evict(keep=9, window=1, sinks=0, kernel=1, pool="mean").on_layer(view)

    assert [head.tolist() for head in kept] == [head.tolist() for head in plain]


def test_a_budget_of_prompt_and_answer_is_exact(decoder):
    tokens = tokens_of(LENGTH)

    batch, row = evicted_row(decoder, TOVA(keep=LENGTH + 9), prompt_of(tokens))

    logits = batch.step([row], [1])[0]
    torch.testing.assert_close(logits, fresh_logits(decoder, [*tokens, 1]), rtol=1e-5, atol=1e-6)

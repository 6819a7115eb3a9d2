"""PyramidKV: SnapKV's choice with more entries in the first layers."""

import pytest
import torch

from forethought.methods.kv_eviction.pyramidkv import PyramidKV
from forethought.methods.kv_eviction.snapkv import SnapKV
from tests.methods.reference import attention_matrices, evicted_row, prompt_of, window_keep
from tests.tiny import tiny_decoder, tokens_of

LENGTH, WINDOW = 60, 6


@pytest.fixture(scope="module")
def decoder():
    return tiny_decoder(seed=3)


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.inference_mode():
        yield


# Of 14: from 27 towards 1 in steps of 26 // 3. Of 17: from 33 in steps of 32 // 3. Of 29: from 54,
# the whole text, towards 4 in steps of 50 // 3. Twice 34 is more than the text, so all are equal.
@pytest.mark.parametrize(("keep", "budgets"), [
    (20, [27, 19, 11, 3]), (23, [33, 23, 13, 3]), (35, [54, 38, 22, 6]), (40, [34, 34, 34, 34]),
])  # fmt: skip
def test_each_layer_keeps_the_best_of_its_own_budget(keep, budgets):
    decoder, tokens = tiny_decoder(seed=3, num_hidden_layers=4), tokens_of(LENGTH)
    method = PyramidKV(keep=keep, window=WINDOW, kernel=5, pool="mean", beta=14)

    _, row = evicted_row(decoder, method, prompt_of(tokens))

    assert sum(budgets) <= 4 * (keep - WINDOW + method.entries_beyond(4))
    for layer, (attention, _, _) in enumerate(attention_matrices(decoder, tokens)):
        kept = window_keep(attention, 2, LENGTH, budget=budgets[layer], window=WINDOW, kernel=5,
                           drop=WINDOW, reduction="mean", pool="mean")  # fmt: skip
        newest = list(range(LENGTH - WINDOW, LENGTH))
        held = [head.tolist() for head in row.head_positions(layer, 2)]
        assert held == [[*head, *newest] for head in kept]


def test_a_steepness_of_one_is_snapkv(decoder):
    tokens, settings = tokens_of(LENGTH), {"keep": 24, "window": WINDOW}

    _, flat = evicted_row(decoder, PyramidKV(beta=1, **settings), prompt_of(tokens))
    plain = SnapKV(kernel=7, pool="max", **settings)
    _, row = evicted_row(decoder, plain, prompt_of(tokens))

    for a, b in zip(flat.tail.layers, row.tail.layers, strict=True):
        assert torch.equal(a.kept, b.kept)


@pytest.mark.parametrize("keep", [10, 17, 31, 58])
def test_all_layers_together_hold_little_more_than_snapkv_would(decoder, keep):
    method = PyramidKV(keep=keep, window=WINDOW)
    prompt = prompt_of(tokens_of(LENGTH), protected={3, 4, 59})

    _, row = evicted_row(decoder, method, prompt)

    assert 3 * keep <= sum(row.lengths()) <= 3 * (keep + method.entries_beyond(3))
    for layer in range(3):
        assert all({3, 4, 54, 59} <= set(h.tolist()) for h in row.head_positions(layer, 2))


def test_a_later_turn_attends_to_every_kept_entry_of_every_layer(decoder):
    batch, row = evicted_row(decoder, PyramidKV(keep=20, window=6), prompt_of(tokens_of(LENGTH)))
    kept = row.lengths()
    assert len(set(kept)) > 1
    single = row.copy()

    together = batch.prefill(row, [5, 6, 7])
    for token in (5, 6, 7):
        apart = batch.step([single], [token])[0]

    torch.testing.assert_close(together, apart)
    assert row.lengths() == tuple(length + 3 for length in kept)

"""KeyDiff: keys unlike the mean key, all at once or block by block."""

import math

import pytest
import torch

from forethought.methods.kv_eviction.keydiff import KeyDiff
from tests.methods.decode_cuts import check_decode_cuts
from tests.methods.reference import prompt_of, seen_layer
from tests.tiny import tiny_decoder, tokens_of

LENGTH = 40


def unit(vector):
    norm = math.sqrt(sum(x * x for x in vector))
    return [x / norm for x in vector]


def differences(keys):
    """Minus the cosine of each key and the mean of the unit keys, by loops."""
    units = [unit(key) for key in keys]
    anchor = unit([sum(column) / len(units) for column in zip(*units, strict=True)])
    return [-sum(a * b for a, b in zip(one, anchor, strict=True)) for one in units]


def block_by_block(keys, budget, block):
    kept = list(range(budget))
    for start in range(budget, len(keys), block):
        rivals = [*kept, *range(start, min(start + block, len(keys)))]
        scores = dict(zip(rivals, differences([keys[i] for i in rivals]), strict=True))
        kept = sorted(rivals, key=lambda i: -scores[i])[:budget]
    return sorted(kept)


@pytest.mark.parametrize("block", [1, 7, 16, 100])
@pytest.mark.parametrize("keep", [5, 12, 39])
def test_blocks_compete_as_the_paper_says(block, keep):
    view = seen_layer(block + keep, LENGTH)

    kept = [head.tolist() for head in KeyDiff(keep=keep, block=block).on_layer(view)]

    assert kept == [block_by_block(keys, keep, block) for keys in view.keys.double().tolist()]


def test_without_blocks_all_keys_share_one_mean():
    view = seen_layer(3, LENGTH)

    kept = [head.tolist() for head in KeyDiff(keep=9, block=0).on_layer(view)]

    for own, keys in zip(kept, view.keys.double().tolist(), strict=True):
        scores = differences(keys)
        assert own == sorted(sorted(range(LENGTH), key=lambda i: -scores[i])[:9])


def test_the_length_of_a_key_does_not_count():
    view = seen_layer(5, LENGTH)
    scaled = seen_layer(5, LENGTH)
    scaled.keys *= torch.rand(2, LENGTH, 1) + 0.5

    kept, same = (KeyDiff(keep=9).on_layer(one) for one in (view, scaled))

    assert [a.tolist() for a in kept] == [b.tolist() for b in same]


def test_equal_keys_tie_and_the_first_stay():
    view = seen_layer(5, LENGTH)
    view.keys[:] = 1.0

    kept = KeyDiff(keep=6, block=0).on_layer(view)

    assert [head.tolist() for head in kept] == [[0, 1, 2, 3, 4, 5]] * 2


def test_protected_entries_stay_within_the_budget():
    view = seen_layer(5, LENGTH, protected=frozenset({1, 20, 39}))

    for head in KeyDiff(keep=8, block=9).on_layer(view):
        assert len(head) == 8
        assert {1, 20, 39} <= set(head.tolist())


def test_an_answer_is_scored_by_the_keys_held():
    def score(layer, number):
        return differences([key.double().tolist() for key in layer.heads[number].keys])

    prompt = prompt_of(tokens_of(LENGTH), protected={0, 5})
    with torch.inference_mode():
        method = KeyDiff(keep=14, every=3, block=0)
        check_decode_cuts(tiny_decoder(seed=3), method, prompt, range(LENGTH, LENGTH + 9), score)

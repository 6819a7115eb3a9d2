"""LAQ and LAQ++ against slow steps over a cache that was read whole."""

import pytest
import torch

from forethought.contracts.errors import BudgetTooSmallError
from forethought.methods.kv_eviction.laq import LAQ
from forethought.methods.kv_eviction.snapkv import SnapKV
from tests.methods.reference import (
    SlowCache,
    TinyDraft,
    evicted_row,
    layers_after,
    prompt_of,
    window_keep,
)
from tests.tiny import tiny_decoder, tokens_of

LENGTH, KEEP = 40, 16


@pytest.fixture(scope="module")
def decoder():
    return tiny_decoder(seed=3)


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.inference_mode():
        yield


def method_of(**changes):
    settings = {"keep": KEEP, "window": 4, "first_window": 6, "lookahead": 5}
    return LAQ(**{**settings, **changes})


def lists(kept):
    return [[head.tolist() for head in layer] for layer in kept]


@pytest.mark.parametrize(("window", "seed"), [(0, 0), (4, 0), (4, 1), (4, 2), (4, 3)])
def test_the_choice_follows_the_published_steps(decoder, window, seed):
    tokens = tokens_of(LENGTH, seed)
    cache = SlowCache(decoder, prompt_of(tokens))

    kept = method_of(window=window).on_cache(cache)

    assert len(cache.written) == 5
    first = SnapKV(keep=KEEP, window=6, kernel=7, pool="max")
    _, row = evicted_row(decoder, first, prompt_of(tokens))
    _, whole = layers_after(decoder, tokens)
    past = [
        tuple([part[own, k] for k, own in enumerate(row.tail.layers[n].kept)] for part in read[1:])
        for n, read in enumerate(whole)
    ]
    _, written = layers_after(decoder, cache.written, past, LENGTH)
    for layer, (queries, keys, _) in enumerate(whole):
        asked = torch.cat([queries[LENGTH - window :], written[layer][0]])
        rows = torch.zeros(4, len(asked), LENGTH)
        for head in range(4):
            for n in range(len(asked)):
                seen = min(LENGTH, LENGTH - window + n + 1)
                logits = keys[:seen, head // 2] @ asked[n, head] * 8**-0.5
                rows[head, n, :seen] = torch.softmax(logits, -1)
        assert torch.allclose(rows.sum(-1), torch.ones(4, len(asked)))
        padded = torch.cat([torch.zeros(4, LENGTH, LENGTH), rows], 1)
        chosen = window_keep(padded, 2, LENGTH, budget=KEEP - window, window=0, kernel=7,
                             drop=window, reduction="mean", pool="max")  # fmt: skip
        newest = list(range(LENGTH - window, LENGTH))
        assert lists(kept)[layer] == [[*head, *newest] for head in chosen]


def test_without_a_look_ahead_it_is_snapkv(decoder):
    tokens = tokens_of(LENGTH, 1)
    cache = SlowCache(decoder, prompt_of(tokens))

    plain = lists(method_of(lookahead=0).on_cache(cache))

    assert cache.written == []
    snap = SnapKV(keep=KEEP, window=4, kernel=7, pool="max")
    _, row = evicted_row(decoder, snap, prompt_of(tokens))
    assert plain == lists([entries.kept for entries in row.tail.layers])


def test_without_queries_at_all_the_first_scores_decide(decoder):
    cache = SlowCache(decoder, prompt_of(tokens_of(LENGTH)))

    kept = method_of(lookahead=0, window=0).on_cache(cache)

    assert {len(head) for layer in kept for head in layer} == {KEEP}


def test_an_end_token_ends_the_look_ahead(decoder):
    prompt = prompt_of(tokens_of(LENGTH))
    first = int(SlowCache(decoder, prompt).logits.argmax())
    cache = SlowCache(decoder, prompt, ends=frozenset({first}))

    kept = method_of(window=0).on_cache(cache)

    assert cache.written == [first]
    assert {len(head) for layer in kept for head in layer} == {KEEP}


def test_the_whole_cache_is_left_untouched(decoder):
    cache = SlowCache(decoder, prompt_of(tokens_of(LENGTH)))
    before = [view.keys.clone() for view in cache.layers]

    method_of().on_cache(cache)

    assert all(torch.equal(a, view.keys) for a, view in zip(before, cache.layers, strict=True))


def test_it_asks_for_the_whole_cache_and_for_room_for_its_first_cut(decoder):
    prompt = prompt_of(tokens_of(LENGTH), protected=range(10, 18))
    assert method_of().sees_whole_cache()

    method_of().on_prompt(prompt, TinyDraft(decoder), 8)
    with pytest.raises(BudgetTooSmallError, match=r"first_window=12 takes 12.*8 more"):
        method_of(first_window=12).on_prompt(prompt, TinyDraft(decoder), 8)
    with pytest.raises(BudgetTooSmallError, match=r"window=9 takes 9.*8 more"):
        method_of(window=9).on_prompt(prompt, TinyDraft(decoder), 8)

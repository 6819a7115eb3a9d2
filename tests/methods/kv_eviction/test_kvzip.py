"""KVzip: repeating a text, chunk by chunk, whatever question stands behind it."""

import pytest
import torch

from forethought.contracts.records import Prompt
from forethought.methods.kv_eviction.importance.reconstruction import Reconstruction
from forethought.methods.kv_eviction.kvzip import KVzip
from forethought.methods.kv_eviction.kvzip_plus import KVzipPlus
from tests.methods.reference import SlowCache, layers_after, prompt_of, seen_layer
from tests.tiny import tiny_decoder, tiny_tensors, tokens_of

LENGTH = 30


@pytest.fixture(scope="module")
def decoder():
    return tiny_decoder(seed=3)


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.inference_mode():
        yield


def text_prompt(tokens, protected=()):
    letters = "".join(chr(65 + i) for i in range(len(tokens)))
    spans = tuple((i, i + 1) for i in range(len(tokens)))
    return Prompt(tuple(tokens), spans, letters, frozenset(protected))


@pytest.mark.parametrize("normalised", [False, True])
def test_scores_are_the_most_attention_while_a_chunk_is_repeated(decoder, normalised):
    tokens = tokens_of(LENGTH)
    cache = SlowCache(decoder, text_prompt(tokens, {0, 1, 2, 27, 28, 29}))
    importance = Reconstruction(chunk=10, overlap=4, sinks=2, normalised=normalised)
    _, tensors = tiny_tensors(seed=3)

    scores = importance.score_cache(cache)

    assert len(cache.requests) == 3
    # Positions 3 to 26 in chunks of 10, 10 and 4; A is position 0.
    assert cache.requests[1].endswith("JKLM")
    assert cache.requests[2].endswith("TUVW")
    for request, start in zip(cache.requests, (3, 13, 23), strict=True):
        part = range(start, min(start + 10, 27))
        asked = [*cache.encode(request)[:6], *tokens[start : part.stop]]
        inputs = []
        _, layers = layers_after(decoder, [*tokens[:27], *asked], shown=inputs)
        for layer, (queries, keys, values) in enumerate(layers):
            out = tensors[f"layers.{layer}.out.weight"].double()
            most = keys.new_zeros(2, len(part), dtype=torch.float32)
            for n in range(27, 27 + len(asked)):
                seen = [0, 1, *part, *range(27, n + 1)]
                for head in range(4):
                    logits = keys[seen, head // 2] @ queries[n, head] * 8**-0.5
                    weights = torch.softmax(logits, -1)[2 : 2 + len(part)].float()
                    if normalised:
                        weights = weights / float(inputs[layer][n].norm())
                        for i, place in enumerate(part):
                            value = values[place, head // 2].cpu().double()
                            projected = out[:, 8 * head : 8 * head + 8] @ value
                            weights[i] *= float(projected.norm())
                    most[head // 2] = most[head // 2].maximum(weights)
            found = scores[layer][:, part.start : part.stop]
            torch.testing.assert_close(found, most, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("chunk", [4, 7, 24, 100])
def test_every_entry_of_the_text_is_scored_once_and_no_other(decoder, chunk):
    cache = SlowCache(decoder, text_prompt(tokens_of(LENGTH), {0, 1, 2, 27, 28, 29}))

    scores = Reconstruction(chunk, overlap=3, sinks=2).score_cache(cache)

    assert len(cache.requests) == -(-24 // chunk)
    for layer in scores:
        layer = layer.cpu()
        judged = (layer > 0) & (layer <= 1)
        assert torch.equal(judged.nonzero()[:, 1], torch.arange(3, 27).repeat(2))
        assert not layer[:, :3].any()
        assert bool((layer[:, 27:] > 1).all())  # what stands behind the text stays


def test_an_unprotected_prompt_is_repeated_whole(decoder):
    cache = SlowCache(decoder, text_prompt(tokens_of(12)))

    scores = Reconstruction(5, overlap=0, sinks=2).score_cache(cache)

    assert len(set(cache.requests)) == 1
    assert all(bool((layer > 0).all()) for layer in scores)


def test_a_prompt_of_nothing_but_protected_tokens_asks_nothing(decoder):
    cache = SlowCache(decoder, text_prompt(tokens_of(12), range(12)))

    scores = Reconstruction(5, overlap=0, sinks=2).score_cache(cache)

    assert cache.requests == []
    assert all(not layer.any() for layer in scores)


def test_the_choice_within_the_text_is_the_same_for_every_question(decoder):
    text, choices = tokens_of(24), []
    for seed in (5, 6):
        prompt = text_prompt([*text, *tokens_of(6, seed)], {0, 1, *range(24, 30)})
        kept = KVzip(keep=14, chunk=9).on_cache(SlowCache(decoder, prompt))
        choices.append([[head[head < 24].tolist() for head in layer] for layer in kept])

    assert choices[0] == choices[1]


@pytest.mark.parametrize("keep", [14, 21, 29])
def test_layers_and_heads_share_exactly_the_budget(decoder, keep):
    prompt = text_prompt(tokens_of(LENGTH), {0, 1, 29})

    kept = KVzip(keep=keep).on_cache(SlowCache(decoder, prompt))
    even = KVzip(keep=keep, allocation="uniform").on_cache(SlowCache(decoder, prompt))

    assert sum(len(head) for layer in kept for head in layer) == keep * 3 * 2
    assert len({len(head) for layer in kept for head in layer}) > 1
    assert {len(head) for layer in even for head in layer} == {keep}
    for head in (head.tolist() for layer in kept for head in layer):
        assert {0, 1, 2, 3, 29} <= set(head)
        assert head == sorted(head)


def test_the_best_of_all_layers_are_kept(decoder):
    cache = SlowCache(decoder, text_prompt(tokens_of(LENGTH)))
    scores = torch.stack(Reconstruction(2048, 8, 4).score_cache(cache))

    kept = KVzip(keep=16).on_cache(cache)

    limit = scores[..., 4:].flatten().sort(descending=True).values[12 * 6 - 1]
    for layer, heads in enumerate(kept):
        for head, own in enumerate(heads):
            best = (scores[layer, head, 4:] >= limit).nonzero().flatten() + 4
            assert own.tolist() == [0, 1, 2, 3, *best.tolist()]


def test_a_key_that_matches_strongly_scores_near_one():
    view = seen_layer(0, 12, queries=4)
    view.keys[0, 3] = 1000 * view.queries[2, 0]

    most = Reconstruction(5, 0, 1)._most_attention(view, range(2, 7))

    assert float(most[0, 1]) > 0.999


def test_layers_with_a_sliding_window_look_no_further():
    view = seen_layer(0, 12, queries=4)
    view.shape = type(view.shape)(4, 2, 8, view.shape.scale, window=6)

    most = Reconstruction(5, 0, 1)._most_attention(view, range(2, 7))

    # The first repeating token stands at 8, and sees 3 to 8.
    assert not most[:, 0].any()
    assert bool((most[:, 1:] > 0).all())


def test_it_chooses_once_the_prompt_was_read_whole():
    assert KVzip().sees_whole_cache()
    assert KVzip(allocation="uniform").sees_whole_cache()
    assert KVzip(keep=LENGTH).on_cache(SlowCache(tiny_decoder(), prompt_of(tokens_of(8)))) is None


def test_a_long_template_before_the_text_stays_though_it_scores_nothing(decoder):
    before, behind = set(range(7)), {27, 28, 29}
    cache = SlowCache(decoder, text_prompt(tokens_of(LENGTH), before | behind))

    kept = KVzip(keep=14, chunk=9).on_cache(cache)

    assert all(before | behind <= set(head.tolist()) for layer in kept for head in layer)


def test_kvzip_plus_keeps_the_best_of_all_layers_by_the_normalised_scores(decoder):
    cache = SlowCache(decoder, text_prompt(tokens_of(LENGTH)))
    scores = torch.stack(Reconstruction(2048, 8, 4, normalised=True).score_cache(cache))

    kept = KVzipPlus(keep=16).on_cache(cache)

    limit = scores[..., 4:].flatten().sort(descending=True).values[12 * 6 - 1]
    for layer, heads in enumerate(kept):
        for head, own in enumerate(heads):
            best = (scores[layer, head, 4:] >= limit).nonzero().flatten() + 4
            assert own.tolist() == [0, 1, 2, 3, *best.tolist()]

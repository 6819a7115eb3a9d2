"""Workers over shared blocks of the cache, against whole attention with rotated keys."""

from __future__ import annotations

import pytest
import torch

from forethought.contracts.errors import UnsupportedModelError
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Meter
from forethought.engine.shared_blocks import (
    BlockView,
    check_shareable,
    forward_views,
    move_block,
)
from tests.tiny import batch_of, fresh_logits, tiny_decoder, tokens_of

LAYERS = 3
LENGTHS = (11, 7, 5)
ORDERS = ((0, 1, 2), (0, 2, 1))
"""The blocks that two workers see; the last one is a worker's own."""


@pytest.fixture(scope="module")
def decoder():
    return tiny_decoder()


def meter():
    return Meter(lambda: 0.0)


def empty():
    return SequenceCache(LAYERS)


def written(decoder, tokens, *before):
    """A block of tokens behind other blocks."""
    block = empty()
    forward_views(decoder, meter(), [BlockView((*before, block))], [tokens])
    return block


def blocks_of(decoder):
    prompt, first, second = map(tokens_of, LENGTHS, range(3))
    start = written(decoder, prompt)
    return start, written(decoder, first, start), written(decoder, second, start)


def held(block, layer):
    entries = block.tail.layers[layer]
    return entries.keys.clone(), entries.values.clone()


def by_rotated_keys(decoder, blocks, tokens):
    """Logits of every worker: keys are rotated to where each view has them, and softmax is whole.

    All new entries are written before any worker reads.
    """
    views = [[blocks[at] for at in order] for order in ORDERS]
    stored = {id(b): [held(b, layer) for layer in range(LAYERS)] for b in blocks}
    sizes = {id(b): b.next for b in blocks}
    states, places = [], []
    for view, new in zip(views, tokens, strict=True):
        sizes[id(view[-1])] += len(new)
    for view, new in zip(views, tokens, strict=True):
        start = sum(sizes[id(b)] for b in view) - len(new)
        places.append(torch.arange(start, start + len(new)))
        states.append(torch.tensor(new))

    def attend(layer, queries, keys, values):
        spans = torch.split(torch.arange(len(queries)), [len(new) for new in tokens])
        for view, span in zip(views, spans, strict=True):
            offset = sum(sizes[id(b)] for b in view[:-1])
            local = decoder.rotate(layer, keys[span], torch.full((len(span),), -offset))
            old = stored[id(view[-1])][layer]
            stored[id(view[-1])][layer] = (
                torch.cat([old[0], local.transpose(0, 1)], 1),
                torch.cat([old[1], values[span].transpose(0, 1)], 1),
            )
        return torch.cat([row(layer, queries[span], view) for span, view in
                          zip(spans, views, strict=True)])  # fmt: skip

    def row(layer, queries, view):
        shape, offset, keys, values = decoder.shape.layers[layer], 0, [], []
        for block in view:
            k, v = stored[id(block)][layer]
            turns = torch.full((k.shape[1],), offset)
            keys.append(decoder.rotate(layer, k.transpose(0, 1), turns))
            values.append(v.transpose(0, 1))
            offset += sizes[id(block)]
        k, v = torch.cat(keys), torch.cat(values)
        out = []
        for n, query in enumerate(queries):
            seen = len(k) - len(queries) + n + 1
            for head in range(shape.heads):
                kv = head // (shape.heads // shape.kv_heads)
                scores = k[:seen, kv] @ query[head] * shape.scale
                out.append(torch.softmax(scores, 0) @ v[:seen, kv])
        return torch.stack(out).view(len(queries), -1)

    ends = torch.tensor([len(tokens[0]) - 1, sum(map(len, tokens)) - 1])
    with torch.inference_mode():
        return decoder.forward(
            torch.cat(states), torch.cat(places), attend, phase="decode", logits_at=ends
        )


@pytest.mark.parametrize("new", [([3], [5]), ([3, 8, 1], [5]), ([3], [5, 9, 2, 6])])
def test_rotated_queries_give_what_rotated_keys_give(decoder, new):
    blocks = blocks_of(decoder)
    expected = by_rotated_keys(decoder, blocks, new)
    views = [BlockView(tuple(blocks[at] for at in order)) for order in ORDERS]

    # Logits are float32.
    assert forward_views(decoder, meter(), views, new) == pytest.approx(expected, rel=1e-5)
    assert [one.next for one in blocks] == [11, 7 + len(new[1]), 5 + len(new[0])]


def test_a_query_rotated_back_and_a_key_rotated_forth_have_one_score(decoder):
    generator = torch.Generator().manual_seed(0)
    query, key = torch.randn(2, 1, 4, 8, generator=generator, dtype=torch.float64)

    def at(vector, place):
        return decoder.rotate(0, vector, torch.tensor([place]))

    for place, start in [(40, 7), (3000, 1), (123_456, 99_999)]:
        forth = (at(query, place) * at(key, start)).sum(-1)
        back = (at(at(query, place), -start) * key).sum(-1)
        assert back == pytest.approx(forth, abs=1e-12)
    assert at(at(query, 17), 25) == pytest.approx(at(query, 42), abs=1e-12)


@pytest.mark.parametrize("cuts", [(), (4,), (1, 2, 9)])
def test_one_worker_decodes_as_usual_however_its_prompt_is_cut(decoder, cuts):
    prompt, own = tokens_of(12), tokens_of(5, seed=1)
    blocks = []
    for start, stop in zip((0, *cuts), (*cuts, len(prompt)), strict=True):
        blocks.append(written(decoder, prompt[start:stop], *blocks))
    block = empty()
    for count, token in enumerate(own, start=1):
        logits = forward_views(decoder, meter(), [BlockView((*blocks, block))], [[token]])
        assert logits[0] == pytest.approx(fresh_logits(decoder, prompt + own[:count]), rel=1e-5)


def test_a_worker_sees_the_token_that_another_writes_in_the_same_pass(decoder):
    def first_row(token, order):
        blocks = blocks_of(decoder)
        views = [BlockView(tuple(blocks[at] for at in order)), BlockView((blocks[0], blocks[1]))]
        return forward_views(decoder, meter(), views, [[3], [token]])[0]

    assert not torch.allclose(first_row(5, (0, 1, 2)), first_row(9, (0, 1, 2)))
    assert torch.equal(first_row(5, (0, 2)), first_row(9, (0, 2)))


def test_moved_entries_are_read_where_they_stand(decoder):
    prompt, first, second = blocks_of(decoder)
    apart = BlockView((prompt, first, second, empty()))
    expected = forward_views(decoder, meter(), [apart], [[4, 2]])
    joined = empty()
    for block in (first, second):
        move_block(decoder, block, joined)
    together = BlockView((prompt, joined, empty()))

    assert joined.next == first.next + second.next
    assert forward_views(decoder, meter(), [together], [[4, 2]]) == pytest.approx(
        expected, rel=1e-5
    )


def test_work_is_that_of_the_entries_each_worker_sees_and_bytes_count_once(decoder):
    blocks, own = blocks_of(decoder), meter()
    views = [BlockView(tuple(blocks[at] for at in order)) for order in ORDERS]
    forward_views(decoder, own, views, [[3], [5]])
    alone = batch_of(decoder)
    row = empty()
    alone.prefill(row, tokens_of(sum(LENGTHS) + 1))
    before = alone.meter.copy()
    alone.step([row], [3])

    # Each worker sees 23 entries and the other's new one.
    assert own.flops == 2 * (alone.meter.flops - before.flops)
    entry = 2 * 8 * 2 * 8 * LAYERS
    weights = decoder.weight_bytes("decode", None, 2)
    assert own.bytes_moved == weights + entry * (sum(LENGTHS) + 2)


def test_a_model_with_a_sliding_window_is_refused():
    windowed = tiny_decoder(model_type="mistral", sliding_window=16)
    with pytest.raises(UnsupportedModelError, match="sliding window"):
        check_shareable(windowed)
    check_shareable(tiny_decoder())

"""FlashPrefill against its definition: blocks chosen and attention summed one key at a time."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from forethought.contracts.roles import SparseOutput
from forethought.engine.attention.prefill import Visibility, attend_causal
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.new_tokens import LayerHook
from forethought.methods.sparse_prefill import _blocks
from forethought.methods.sparse_prefill.flash_prefill import FlashPrefill
from tests.engine.written_out import inputs as noise
from tests.engine.written_out import shape_of, view_over
from tests.tiny import batch_of, fresh_logits, tiny_decoder, tokens_of

SMALL = FlashPrefill(
    alpha=0.6, block=16, sinks=1, window=2, last_rows=0, dense_layers=0, means=False, tile=8
)
LENGTH = 150


def inputs(length, entries, **settings):
    """Random tensors whose keys differ between stretches of 16, so that some blocks score high."""
    queries, keys, values = noise(length, entries, **settings)
    _, offsets, _ = noise(length, entries, seed=1, **settings)
    return queries, keys + offsets[:, ::16].repeat_interleave(16, 1)[:, :entries], values


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.inference_mode():
        yield


def slow_lists(queries, keys, method, prompt_length, scale):
    """[KV head][tile] the sets of blocks, by the definition, from Python numbers."""
    length, heads, _ = queries.shape
    groups = heads // len(keys)
    size = method.block
    last = math.ceil(method.last_rows / groups)
    chosen = []
    for head, held in enumerate(keys.double()):
        means = [held[b * size : (b + 1) * size].mean(0) for b in range(length // size)]
        own = []
        for start in range(0, length, method.tile):
            stop = min(start + method.tile, length)
            logits = {}
            for row in range(start, stop):
                for head_of_group in range(groups):
                    query = queries[row, head * groups + head_of_group].double()
                    for block, mean in enumerate(means):
                        if row >= block * size and (block + 1) * size <= stop:
                            logits.setdefault(block, []).append(float(query @ mean) * scale)
            most = max((max(values) for values in logits.values()), default=0.0)
            energy = {b: sum(math.exp(z - most) for z in values) for b, values in logits.items()}
            best = max(energy.values(), default=0.0)
            seen = {b for b, value in energy.items() if value >= method.alpha * best}
            visible = range(math.ceil(stop / size))
            seen |= {b for b in visible if b < method.sinks}
            seen |= {b for b in visible if b >= start // size - method.window + 1}
            if last and start >= (prompt_length - last) // method.tile * method.tile:
                seen |= set(visible)
            own.append(seen)
        chosen.append(own)
    return chosen


def slow_attention(queries, keys, values, method, lists, scale):
    """Attention [T, H, V] over the listed blocks, in float64; with or without mean keys."""
    length, heads, _ = queries.shape
    groups, size = heads // len(keys), method.block
    out = torch.empty(length, heads, values.shape[-1], dtype=torch.float64)
    for row in range(length):
        for head in range(heads):
            kv = head // groups
            seen = lists[kv][row // method.tile]
            stop = min((row // method.tile + 1) * method.tile, length)
            own = [key for key in range(row + 1) if key // size in seen]
            logits = (keys[kv].double() @ queries[row, head].double()).tolist()
            weights = [math.exp(scale * logits[key]) for key in own]
            parts = [values[kv, key].double() for key in own]
            if method.means:
                for block in set(range(stop // size)) - seen:
                    span = slice(block * size, (block + 1) * size)
                    mean = keys[kv, span].double().mean(0)
                    logit = float(queries[row, head].double() @ mean)
                    weights.append(size * math.exp(scale * logit))
                    parts.append(values[kv, span].double().mean(0))
            total = sum(w * part for w, part in zip(weights, parts, strict=True))
            out[row, head] = total / sum(weights)
    return out.flatten(1)


def lists_of(queries, keys, values, method):
    """The lists that the method chooses."""
    view = view_over(queries, keys, values, shape_of())
    rule = method._rule(view)
    return [
        [
            {block for block, seen in enumerate(tile) if seen}
            for tile in _blocks.chosen_blocks(
                view, head, _blocks.block_means(held, method.block), rule
            ).tolist()
        ]
        for head, held in enumerate(keys)
    ]


def attended(queries, keys, values, method, **changes) -> SparseOutput:
    return method.on_attention(view_over(queries, keys, values, shape_of(), **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"alpha": 0.9, "sinks": 0, "window": 1},
        {"tile": 16, "block": 8},
        {"last_rows": 60},
        {"means": True},
        {"means": True, "alpha": 1.0, "sinks": 0, "tile": 32},
    ],
)
def test_blocks_and_attention_are_those_of_the_definition(changes):
    queries, keys, values = inputs(LENGTH, LENGTH)
    method = replace(SMALL, **changes)

    lists = lists_of(queries, keys, values, method)
    found = attended(queries, keys, values, method)

    assert lists == slow_lists(queries, keys, method, LENGTH, 0.4)
    assert any(len(seen) < -(-LENGTH // method.block) - 2 for own in lists for seen in own[-4:-2])
    expected = slow_attention(queries, keys, values, method, lists, 0.4)
    torch.testing.assert_close(found.out, expected)


def test_scores_of_few_tiles_at_once_choose_the_same_blocks(monkeypatch):
    queries, keys, values = inputs(LENGTH, LENGTH)
    lists = lists_of(queries, keys, values, SMALL)

    monkeypatch.setattr(_blocks, "_SCORE_BYTES", 1)

    assert lists_of(queries, keys, values, SMALL) == lists


def test_a_greater_alpha_drops_blocks_and_never_adds_one():
    queries, keys, values = inputs(LENGTH, LENGTH)
    found = [
        lists_of(queries, keys, values, replace(SMALL, alpha=alpha))
        for alpha in (0.05, 0.4, 0.8, 1.0)
    ]

    sizes = [sum(len(seen) for own in lists for seen in own) for lists in found]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 4
    for more, fewer in pairwise(found):
        for own, less in zip(more, fewer, strict=True):
            assert all(b <= a for a, b in zip(own, less, strict=True))


def test_mean_keys_make_attention_exact_where_the_keys_of_a_block_are_equal():
    queries, keys, values = inputs(160, 160)
    keys = keys.view(2, 10, 16, 16)[:, :, :1].expand(-1, -1, 16, -1).reshape(2, 160, 16)
    method = replace(SMALL, alpha=1.0, sinks=0, window=1)

    dense = attend_causal(queries, keys, values, shape_of(), Visibility())
    corrected = attended(queries, keys, values, replace(method, means=True)).out
    plain = attended(queries, keys, values, method).out

    torch.testing.assert_close(corrected, dense)
    assert not torch.allclose(plain, dense)


def test_weights_sum_to_one_and_no_query_sees_a_later_key():
    queries, keys, _ = inputs(LENGTH, LENGTH)
    values = torch.eye(LENGTH, dtype=torch.float64).expand(2, -1, -1)  # the output is the weights

    weights = attended(queries, keys, values, replace(SMALL, means=True)).out.view(LENGTH, 6, -1)

    weights = weights.transpose(0, 1)
    torch.testing.assert_close(weights.sum(-1), torch.ones(6, LENGTH, dtype=torch.float64))
    assert (weights.triu(1) == 0).all()
    assert (weights.diagonal(dim1=1, dim2=2) > 0).all()


@pytest.mark.parametrize("first", [8, 64, 77, 149])
def test_tokens_after_cached_entries_attend_as_in_one_pass(first):
    """A cut inside a tile leaves fewer queries to choose, so it is compared by its own lists."""
    queries, keys, values = inputs(LENGTH, LENGTH)
    whole = attended(queries, keys, values, SMALL)

    rest = attended(queries[first:], keys, values, SMALL)

    later = -(-first // SMALL.tile) * SMALL.tile
    torch.testing.assert_close(rest.out[later - first :], whole.out[later:])


@pytest.mark.parametrize("means", [False, True])
def test_the_pairs_are_those_that_the_tiles_see(means):
    queries, keys, values = inputs(LENGTH, LENGTH)
    method = replace(SMALL, means=means)
    lists = slow_lists(queries, keys, method, LENGTH, 0.4)

    found = attended(queries, keys, values, method).pairs

    pairs = 0.0
    for own in lists:
        for row in range(LENGTH):
            seen, stop = own[row // 8], min((row // 8 + 1) * 8, LENGTH)
            pairs += sum(key // 16 in seen for key in range(row + 1))
            pairs += stop // 16 / 2  # scores of block means
            pairs += len(set(range(stop // 16)) - seen) * means
    assert found == pytest.approx(pairs / 2, rel=1e-12)


def test_softcap_squashes_scores():
    queries, keys, values = inputs(LENGTH, LENGTH)
    all_blocks = replace(SMALL, sinks=1, window=1, last_rows=6 * LENGTH)
    view = view_over(queries, keys, values, shape_of(softcap=1.5))

    out = all_blocks.on_attention(view).out

    dense = attend_causal(queries, keys, values, shape_of(softcap=1.5), Visibility())
    torch.testing.assert_close(out, dense)


def test_bfloat16_stays_close_to_the_same_attention_in_float64():
    method = replace(SMALL, alpha=0.3, means=True)
    queries, keys, values = inputs(LENGTH, LENGTH, dtype=torch.bfloat16)

    out = attended(queries, keys, values, method).out

    lists = lists_of(queries, keys, values, method)
    expected = slow_attention(queries, keys, values, method, lists, 0.4)
    assert out.dtype == torch.bfloat16
    assert (out.double() - expected).abs().max() < 0.03


def test_a_window_over_everything_or_alpha_0_is_off():
    decoder, tokens = tiny_decoder(), tokens_of(LENGTH)
    for method in (replace(SMALL, alpha=0.0), replace(SMALL, window=9)):
        assert not method.pays(LENGTH)
        logits = read(decoder, method, tokens)
        assert torch.equal(logits, fresh_logits(decoder, tokens))


def test_first_layers_and_layers_with_a_sliding_window_are_dense():
    queries, keys, values = inputs(LENGTH, LENGTH)

    assert attended(queries, keys, values, replace(SMALL, dense_layers=1)) is None
    windowed = view_over(queries, keys, values, shape_of(window=20))
    assert SMALL.on_attention(windowed) is None


def read(decoder, method, tokens):
    """Logits [V] after a prompt read in one pass."""
    hook = LayerHook(lambda view: None, len(tokens), attend=method.on_attention)
    return batch_of(decoder).prefill_whole(SequenceCache(3), tokens, hook)[-1]


def test_a_prompt_read_in_chunks_gives_the_logits_of_one_pass(monkeypatch):
    decoder, tokens = tiny_decoder(seed=3), tokens_of(LENGTH)
    method = replace(SMALL, means=True, last_rows=20)
    hook = LayerHook(lambda view: None, LENGTH, attend=method.on_attention)
    whole = read(decoder, method, tokens)

    monkeypatch.setattr("forethought.engine.batch.CHUNK", 64)
    cache = SequenceCache(3)
    chunked = batch_of(decoder).prefill(cache, tokens, hook=hook)

    torch.testing.assert_close(chunked, whole)
    assert not torch.allclose(whole, fresh_logits(decoder, tokens))
    assert cache.lengths() == (LENGTH,) * 3


@pytest.mark.parametrize("changes", [{}, {"means": True}, {"tile": 128, "alpha": 1.0}])
@pytest.mark.parametrize("first", [0, 100])
def test_the_compiled_kernels_attend_to_the_same_blocks(changes, first):
    """Heads of 64 values and blocks of 64 keys fit the kernels; in float64, torch attends."""
    settings = {"block": 64, "tile": 64, "sinks": 0, "window": 1, "alpha": 0.9, **changes}
    length, method = 330, replace(SMALL, **settings)
    queries, keys, values = noise(length, length, dim=64, dtype=torch.bfloat16)
    _, offsets, _ = noise(6, 6, dim=64, seed=1, dtype=torch.bfloat16)
    keys = keys + offsets.repeat_interleave(64, 1)[:, :length] / 4

    found = attended(queries[first:], keys, values, method).out

    wide = [held.double() for held in (queries[first:], keys, values)]
    expected, dense = (attended(*wide, one).out for one in (method, replace(method, window=3)))
    assert (found.double() - expected).abs().max() < 0.03
    assert (dense - expected).abs().max() > 0.3

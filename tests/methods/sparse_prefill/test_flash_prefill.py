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
from forethought.models.compiled.available import kernels
from tests.engine.written_out import inputs as noise
from tests.engine.written_out import shape_of, view_over
from tests.fast_cases import fast_each
from tests.tiny import batch_of, fresh_logits, tiny_decoder, tokens_of

SMALL = FlashPrefill(
    alpha=0.6, block=16, sinks=1, window=2, last_rows=0, dense_layers=0, means=False, tile=32
)  # 32 rows are 10 tokens and two of the next one's three heads
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
    tiles = math.ceil(prompt_length * groups / method.tile)
    chosen = []
    for head, held in enumerate(keys.double()):
        means = [held[b * size : (b + 1) * size].mean(0) for b in range(length // size)]
        own = []
        for tile in range(tiles):
            rows = range(tile * method.tile, min((tile + 1) * method.tile, length * groups))
            first, last = rows[0] // groups, rows[-1] // groups
            logits = {}
            for row in rows:
                query = queries[row // groups, head * groups + row % groups].double()
                for block, mean in enumerate(means):
                    if row // groups >= block * size and (block + 1) * size <= last + 1:
                        logits.setdefault(block, []).append(float(query @ mean) * scale)
            most = max((max(values) for values in logits.values()), default=0.0)
            energy = {b: sum(math.exp(z - most) for z in values) for b, values in logits.items()}
            best = max(energy.values(), default=0.0)
            seen = {b for b, value in energy.items() if value >= method.alpha * best}
            visible = range(last // size + 1)
            seen |= {b for b in visible if b < method.sinks}
            seen |= {b for b in visible if b >= first // size - method.window + 1}
            if tile >= tiles - math.ceil(method.last_rows / method.tile):
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
            tile = (row * groups + head % groups) // method.tile
            seen, stop = lists[kv][tile], tile_end(tile, method, groups, length)
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


def tile_end(tile, method, groups, length):
    """One past the last token with a row in the tile."""
    return math.ceil(min((tile + 1) * method.tile, length * groups) / groups)


def lists_of(queries, keys, values, method):
    """The lists that the method chooses."""
    view = view_over(queries, keys, values, shape_of())
    rule = method._rule(view)
    means = _blocks.block_means(keys, method.block)
    chosen = _blocks.chosen_blocks(view, means, rule).tolist()
    return [[{b for b, seen in enumerate(tile) if seen} for tile in own] for own in chosen]


def attended(queries, keys, values, method, **changes) -> SparseOutput:
    return method.on_attention(view_over(queries, keys, values, shape_of(), **changes))


@pytest.mark.parametrize(
    "changes",
    fast_each(
        2,
        [
            {},
            {"alpha": 0.9, "sinks": 0, "window": 1},
            {"tile": 48, "block": 8},
            {"last_rows": 65},
            {"means": True},
            {"means": True, "alpha": 1.0, "sinks": 0, "tile": 96},
        ],
    ),
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


@pytest.mark.parametrize("first", [32, 64, 77, 149])
def test_tokens_after_cached_entries_attend_as_in_one_pass(first):
    """A cut inside a tile leaves fewer queries to choose, so it is compared by its own lists."""
    queries, keys, values = inputs(LENGTH, LENGTH)
    whole = attended(queries, keys, values, SMALL)

    rest = attended(queries[first:], keys, values, SMALL)

    # 32 tokens are three whole tiles.
    later = -(-first // 32) * 32
    torch.testing.assert_close(rest.out[later - first :], whole.out[later:])


@pytest.mark.parametrize("means", [False, True])
def test_the_pairs_are_those_that_the_tiles_see(means):
    queries, keys, values = inputs(LENGTH, LENGTH)
    method = replace(SMALL, means=means)
    lists = slow_lists(queries, keys, method, LENGTH, 0.4)

    found = attended(queries, keys, values, method).pairs

    pairs = 0.0
    for own in lists:
        for row in range(3 * LENGTH):
            seen, stop = own[row // 32], tile_end(row // 32, method, 3, LENGTH)
            pairs += sum(key // 16 in seen for key in range(row // 3 + 1))
            pairs += stop // 16 / 2  # scores of block means
            pairs += len(set(range(stop // 16)) - seen) * means
    assert found == pytest.approx(pairs / 6, rel=1e-12)


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


@pytest.mark.parametrize("changes", [{}, {"means": True}, {"tile": 192, "alpha": 1.0}])
@pytest.mark.parametrize("first", [0, 100])
def test_the_compiled_kernels_attend_to_the_same_blocks(changes, first):
    """Heads of 64 values and blocks of 64 keys fit the kernels; in float64, torch attends."""
    settings = {"block": 64, "tile": 128, "sinks": 0, "window": 1, "alpha": 0.9, **changes}
    length, method = 330, replace(SMALL, **settings)
    queries, keys, values = noise(length, length, dim=64, dtype=torch.bfloat16)
    _, offsets, _ = noise(6, 6, dim=64, seed=1, dtype=torch.bfloat16)
    keys = keys + offsets.repeat_interleave(64, 1)[:, :length] / 4

    found = attended(queries[first:], keys, values, method).out

    wide = [held.double() for held in (queries[first:], keys, values)]
    expected, dense = (attended(*wide, one).out for one in (method, replace(method, window=3)))
    assert (found.double() - expected).abs().max() < 0.03
    assert (dense - expected).abs().max() > 0.3


@pytest.mark.parametrize("first", [0, 100, 129])
def test_the_compiled_kernels_choose_the_blocks_that_torch_chooses(first):
    """Energies differ by the kernel's exponential, so a choice may differ where one is close."""
    length, method = 330, replace(SMALL, block=64, tile=128, sinks=0, window=1)
    queries, keys, values = noise(length, length, dim=64, dtype=torch.bfloat16)
    _, offsets, _ = noise(6, 6, dim=64, seed=1, dtype=torch.bfloat16)
    keys = keys + offsets.repeat_interleave(64, 1)[:, :length] / 4
    view = view_over(queries[first:], keys, values, shape_of())
    rule, means = method._rule(view), _blocks.block_means(keys, 64)
    made = kernels()
    if made is None:
        pytest.skip("no kernels can be compiled here")

    slow = torch.stack([_blocks.block_energies(view, head, means[head], rule) for head in (0, 1)])
    fast = made.block_energies(view.queries, 0.4, means, first, 128, 64)

    torch.testing.assert_close(fast, slow, rtol=3e-4, atol=1e-30)
    energies = slow.flatten()[slow.flatten() > 1e-20]
    for alpha in torch.linspace(0.01, 0.99, 30).tolist():
        own = replace(rule, alpha=alpha)
        chosen = [_blocks.chosen_blocks(view, means, own, one) for one in (None, made)]
        share = slow / slow.amax(-1, keepdim=True)
        close = (share / alpha - 1).abs() < 1e-3
        differ = (chosen[0] ^ chosen[1])[..., : means.shape[1]]
        assert not (differ & ~close).any()
    assert len(energies) > 2 * len(slow[0])

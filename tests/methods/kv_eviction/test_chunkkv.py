"""ChunkKV: whole chunks of the text, the same for all heads; and its entropy-gated form."""

import math

import pytest
import torch

from forethought.methods.kv_eviction.chunkkv import ChunkKV
from forethought.methods.kv_eviction.entropy_gated_chunkkv import EntropyGatedChunkKV
from forethought.methods.kv_eviction.snapkv import SnapKV
from tests.methods.reference import evicted_row, prompt_of, seen_layer
from tests.tiny import tiny_decoder, tokens_of

LENGTH, WINDOW = 60, 4


def head_sums(view, kernel=3):
    """SnapKV's scores before the window, pooled by means and summed over heads, by loops."""
    until, scores = LENGTH - WINDOW, [0.0] * (LENGTH - WINDOW)
    for rows in next(view.window_rows(WINDOW)).double():
        means = [float(rows[..., j].mean()) for j in range(until)]
        for j in range(until):
            near = [means[i] for i in range(j - kernel // 2, j + kernel // 2 + 1) if 0 <= i < until]
            scores[j] += sum(near) / kernel
    return scores


def grid(size, holes=()):
    """The places before the window by chunks, without those of `holes`."""
    parts = [range(start, min(start + size, LENGTH - WINDOW)) for start in range(0, LENGTH, size)]
    chunks = [[j for j in part if j not in holes] for part in parts]
    return [chunk for chunk in chunks if chunk]


def mean(values):
    return sum(values) / len(values)


def whole_chunks(scores, size, budget, holes=()):
    kept = []
    for chunk in sorted(grid(size, holes), key=lambda c: -mean([scores[j] for j in c])):
        if kept and len(kept) + len(chunk) > budget:
            break
        kept += chunk[: budget - len(kept)]
    return kept


def entropy(values):
    if len(values) == 1:
        return 0.0
    total = sum(values) + 1e-8
    nats = -sum(v / total * math.log(v / total + 1e-8) for v in values)
    return min(max(nats / math.log(len(values)), 0.0), 1.0)


def gated_chunks(scores, size, spiky, budget):
    chunks = grid(size)
    means = [mean([scores[j] for j in chunk]) for chunk in chunks]
    entropies = [entropy([scores[j] for j in chunk]) for chunk in chunks]
    middle = (len(chunks) - 1) // 2  # of an even number, the lower
    least, low = sorted(means)[middle], sorted(entropies)[middle]
    kept = []
    for n in sorted(range(len(chunks)), key=lambda n: -means[n]):
        most = spiky if means[n] >= least and entropies[n] < low else size
        best = sorted(chunks[n], key=lambda j: (-scores[j], j))
        kept += best[: min(most, budget - len(kept))]
    rest = [j for j in range(LENGTH - WINDOW) if j not in kept]
    return kept + sorted(rest, key=lambda j: -scores[j])[: budget - len(kept)]


def kept_of(method, view):
    heads = [head.tolist() for head in method.on_layer(view)]
    assert all(head == heads[0] for head in heads)
    return heads[0]


@pytest.mark.parametrize("size", [1, 5, 7, 100])
@pytest.mark.parametrize("keep", [9, 24, 51])
def test_the_chunks_of_the_highest_mean_are_kept_whole(size, keep):
    view = seen_layer(keep, LENGTH, heads=6)
    method = ChunkKV(keep=keep, chunk_tokens=size, window=WINDOW, kernel=3)

    kept = kept_of(method, view)

    expected = whole_chunks(head_sums(view), size, keep - WINDOW)
    assert kept == sorted([*expected, *range(LENGTH - WINDOW, LENGTH)])
    assert keep - size < len(kept) <= keep


def test_protected_entries_are_no_part_of_a_chunk():
    view = seen_layer(4, LENGTH, protected=frozenset({0, 12, 13}))

    kept = kept_of(ChunkKV(keep=30, chunk_tokens=6, window=WINDOW, kernel=3), view)

    expected = whole_chunks(head_sums(view), 6, 30 - WINDOW - 3, holes={0, 12, 13})
    assert kept == sorted([0, 12, 13, *expected, *range(LENGTH - WINDOW, LENGTH)])


@pytest.mark.parametrize("method", [ChunkKV, EntropyGatedChunkKV])
def test_during_decode_chunks_are_those_of_the_text(method):
    # Every third token of the text was evicted before.
    places = torch.tensor([n for n in range(90) if n % 3])
    assert len(places) == LENGTH
    view = seen_layer(3, LENGTH, positions=places, decoding=True, prompt_length=80)

    kept = kept_of(method(keep=30, chunk_tokens=9, window=WINDOW, kernel=3), view)

    chunks = {}
    for entry in range(LENGTH - 3):  # three entries are among the newest four places
        chunks.setdefault(int(places[entry]) // 9, []).append(entry)
    found = {number: sum(entry in kept for entry in chunk) for number, chunk in chunks.items()}
    whole = [number for number, count in found.items() if count == len(chunks[number])]
    assert len(whole) >= 2
    if method is ChunkKV:
        assert all(count in (0, len(chunks[number])) for number, count in found.items())


def test_chunks_of_one_token_with_one_head_are_snapkv():
    view = seen_layer(2, LENGTH, heads=2, kv_heads=1)
    settings = {"keep": 20, "window": WINDOW, "kernel": 3}

    plain = [head.tolist() for head in SnapKV(**settings).on_layer(view)]

    assert [kept_of(ChunkKV(**settings, chunk_tokens=1), view)] == plain


@pytest.mark.parametrize("keep", [5, 9, 24, 40, 55])
@pytest.mark.parametrize("seed", range(3))
def test_a_spiky_chunk_keeps_its_best_entries_and_the_budget_is_used_up(keep, seed):
    view = seen_layer(seed, LENGTH)
    view.keys *= 2  # sharper attention
    method = EntropyGatedChunkKV(keep=keep, chunk_tokens=8, window=WINDOW, kernel=3, spiky_tokens=3)

    kept = kept_of(method, view)

    expected = gated_chunks(head_sums(view), 8, 3, keep - WINDOW)
    assert kept == sorted([*expected, *range(LENGTH - WINDOW, LENGTH)])
    assert len(kept) == keep


def test_chunks_of_even_scores_stay_whole_in_the_gated_form():
    view = seen_layer(2, LENGTH)
    view.keys.zero_()
    settings = {"keep": 4 + 16, "chunk_tokens": 8, "window": WINDOW, "kernel": 1}

    gated = kept_of(EntropyGatedChunkKV(**settings), view)

    assert gated == kept_of(ChunkKV(**settings), view)


@pytest.mark.parametrize("method", [
    ChunkKV(keep=24, chunk_tokens=6, window=4), EntropyGatedChunkKV(keep=24, window=4),
], ids=repr)  # fmt: skip
def test_every_layer_of_a_model_holds_chunks(method):
    with torch.inference_mode():
        _, row = evicted_row(tiny_decoder(seed=3), method, prompt_of(tokens_of(LENGTH)))

    for layer in row.tail.layers:
        assert 24 - 6 < layer.length <= 24

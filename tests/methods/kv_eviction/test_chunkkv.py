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
    """SnapKV's scores as kvpress has them, summed over heads, by loops: the window has most."""
    until, heads = LENGTH - WINDOW, []
    for rows in next(view.window_rows(WINDOW)).double():
        means = [float(rows[..., j].mean()) for j in range(until)]
        near = [means[max(0, j - kernel // 2) : j + kernel // 2 + 1] for j in range(until)]
        heads.append([sum(part) / kernel for part in near])
    most = max(max(head) for head in heads)
    whole = [[*head, *[most + 1] * WINDOW] for head in heads]
    return [sum(column) for column in zip(*whole, strict=True)]


def grid(size, holes=()):
    """The places by chunks, without those of `holes`."""
    parts = [range(start, min(start + size, LENGTH)) for start in range(0, LENGTH, size)]
    chunks = [[j for j in part if j not in holes] for part in parts]
    return [chunk for chunk in chunks if chunk]


def mean(values):
    return sum(values) / len(values)


def whole_chunks(scores, size, budget, holes=()):
    chunks = grid(size, holes)
    count = max(1, int(len(chunks) * budget / (LENGTH - len(holes))))
    best = sorted(chunks, key=lambda c: -mean([scores[j] for j in c]))[:count]
    return [place for chunk in best for place in chunk]


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
    rest = [j for j in range(LENGTH) if j not in kept]
    return kept + sorted(rest, key=lambda j: -scores[j])[: budget - len(kept)]


def kept_of(method, view):
    heads = [head.tolist() for head in method.on_layer(view)]
    assert all(head == heads[0] for head in heads)
    return heads[0]


@pytest.mark.parametrize("size", [1, 5, 7, 22])
@pytest.mark.parametrize("keep", [9, 24, 27, 41])
def test_the_chunks_of_the_highest_mean_are_kept_whole(size, keep):
    view = seen_layer(keep, LENGTH, heads=6)
    method = ChunkKV(keep=keep, chunk_tokens=size, window=WINDOW, kernel=3)

    kept = kept_of(method, view)

    assert kept == sorted(whole_chunks(head_sums(view), size, keep))
    assert keep - 2 * size < len(kept) < keep + size


def test_protected_entries_are_no_part_of_a_chunk():
    view = seen_layer(4, LENGTH, protected=frozenset({0, 12, 13, 14, 15}))
    view.keys[:, 16] = view.queries[-WINDOW:, ::2].mean(0) * 3  # the best, in a chunk of two

    kept = kept_of(ChunkKV(keep=22, chunk_tokens=6, window=WINDOW, kernel=1), view)

    scores = head_sums(view, kernel=1)
    expected = whole_chunks(scores, 6, 22 - 5, holes={0, 12, 13, 14, 15})
    assert kept == sorted([0, 12, 13, 14, 15, *expected])
    assert sum(scores[16:18]) < max(sum(scores[n : n + 6]) for n in range(18, 54, 6))
    assert {16, 17} <= set(kept)


@pytest.mark.parametrize("method", [ChunkKV, EntropyGatedChunkKV])
def test_during_decode_chunks_are_those_of_the_text(method):
    # Every third token of the text was evicted before.
    places = torch.tensor([n for n in range(90) if n % 3])
    assert len(places) == LENGTH
    view = seen_layer(3, LENGTH, positions=places, decoding=True, prompt_length=80)

    kept = kept_of(method(keep=30, chunk_tokens=9, window=WINDOW, kernel=3), view)

    chunks = {}
    for entry in range(LENGTH):
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


def test_a_text_of_less_than_a_chunk_is_left_to_snapkv():
    view = seen_layer(2, LENGTH)
    settings = {"keep": 20, "window": WINDOW, "kernel": 3}

    kept = ChunkKV(**settings, chunk_tokens=LENGTH + 1).on_layer(view)

    plain = SnapKV(**settings).on_layer(view)
    assert [head.tolist() for head in kept] == [head.tolist() for head in plain]
    assert kept[0].tolist() != kept[1].tolist()


@pytest.mark.parametrize("keep", [5, 9, 24, 40, 55])
@pytest.mark.parametrize("seed", range(3))
def test_a_spiky_chunk_keeps_its_best_entries_and_the_budget_is_used_up(keep, seed):
    view = seen_layer(seed, LENGTH)
    view.keys *= 2  # sharper attention
    method = EntropyGatedChunkKV(keep=keep, chunk_tokens=8, window=WINDOW, kernel=3, spiky_tokens=3)

    kept = kept_of(method, view)

    assert kept == sorted(gated_chunks(head_sums(view), 8, 3, keep))
    assert len(kept) == keep


def test_chunks_of_even_scores_stay_whole_in_the_gated_form():
    view = seen_layer(2, LENGTH)
    view.keys.zero_()
    method = EntropyGatedChunkKV(keep=4 + 16, chunk_tokens=8, window=WINDOW, kernel=1)

    assert kept_of(method, view) == [*range(16), *range(56, LENGTH)]


@pytest.mark.parametrize("method", [
    ChunkKV(keep=24, chunk_tokens=6, window=4), EntropyGatedChunkKV(keep=24, window=4),
], ids=repr)  # fmt: skip
def test_every_layer_of_a_model_holds_chunks(method):
    with torch.inference_mode():
        _, row = evicted_row(tiny_decoder(seed=3), method, prompt_of(tokens_of(LENGTH)))

    for layer in row.tail.layers:
        assert layer.length == 24

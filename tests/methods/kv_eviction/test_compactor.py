"""Compactor: leverage of keys before RoPE, and attention within chunks without a causal mask."""

import math

import pytest
import torch

from forethought.methods.kv_eviction.compactor import Compactor
from forethought.methods.kv_eviction.importance import compact
from tests.methods.reference import evicted_row, prompt_of, seen_layer
from tests.tiny import tiny_decoder, tokens_of

LENGTH, FIRST, LAST = 40, 3, 2


def turned(vectors, positions):
    """Rotations by a tenth of the position in the plane of dimensions 0 and 4."""
    out = vectors.clone()
    for n, position in enumerate(positions.tolist()):
        c, s = math.cos(position / 10), math.sin(position / 10)
        x, y = vectors[n, :, 0].clone(), vectors[n, :, 4].clone()
        out[n, :, 0], out[n, :, 4] = c * x - s * y, s * x + c * y
    return out


def layer(seed, **more):
    return seen_layer(seed, LENGTH, heads=6, turn=turned, **more)


def standard(scores):
    every = [x for row in scores for x in row]
    mean = sum(every) / len(every)
    spread = math.sqrt(sum((x - mean) ** 2 for x in every) / (len(every) - 1))
    return [[(x - mean) / spread for x in row] for row in scores]


def attended(view, chunk, scale):
    """By key head: the attention that each entry receives in its chunk, times its value's norm."""
    found = []
    for k in range(2):
        inner = range(FIRST, LENGTH - LAST)
        sums = dict.fromkeys(inner, 0.0)
        for start in range(FIRST, LENGTH - LAST, chunk):
            part = [i for i in range(start, start + chunk) if i in inner]
            for head in range(3 * k, 3 * k + 3):
                for q in part:
                    logits = [float(view.queries[q, head].double() @ view.keys[k, i].double())
                              for i in part]  # fmt: skip
                    weights = [math.exp((x - max(logits)) * scale) for x in logits]
                    for i, weight in zip(part, weights, strict=True):
                        sums[i] += weight / sum(weights) / 3
        raw = [sums[i] * float(view.values[k, i].double().norm()) for i in inner]
        padded = [0.0, *raw, 0.0]
        found.append([sum(padded[i : i + 3]) / 3 for i in range(len(raw))])
    return found


def leverages(view, sketch, seed):
    inner = slice(FIRST, LENGTH - LAST)
    where = torch.arange(LENGTH)[inner]
    plain = turned(view.keys[:, inner].double().transpose(0, 1), -where).transpose(0, 1)
    draw = torch.Generator().manual_seed(seed)
    projection = torch.randn(2, 8, sketch, generator=draw).double() / math.sqrt(sketch)
    found = []
    for keys, own in zip(plain, projection, strict=True):
        x = (keys - keys.mean(0)) @ own
        inverse = torch.linalg.inv(x.T @ x + 0.01 * torch.eye(sketch, dtype=torch.double))
        found.append([max(float(row @ inverse @ row), 0.0) for row in x])
    return found


def expected_heads(view, keep, *, sketch, blending, scale=1.0, chunk=256, seed=0):
    attention = standard(attended(view, chunk, scale))
    leverage = standard(leverages(view, sketch, seed))
    kept = []
    for a, b in zip(attention, leverage, strict=True):
        scores = [x + blending * y for x, y in zip(a, b, strict=True)]
        best = sorted(range(len(scores)), key=lambda i: -scores[i])[: keep - FIRST - LAST]
        inner = [FIRST + i for i in best]
        kept.append(sorted([*range(FIRST), *inner, *range(LENGTH - LAST, LENGTH)]))
    return kept


def kept_of(method, view):
    return [head.tolist() for head in method.on_layer(view)]


@pytest.mark.parametrize("keep", [8, 15, 30])
def test_scores_blend_attention_and_leverage_by_the_share_dropped(keep):
    view = layer(keep)

    kept = kept_of(Compactor(keep=keep, sinks=FIRST, window=LAST, sketch=5), view)

    assert kept == expected_heads(view, keep, sketch=5, blending=1 - keep / LENGTH)


@pytest.mark.parametrize("changes", [
    {"blending": 0.0}, {"blending": 1.0}, {"scaled": True, "blending": 0.5},
    {"seed": 7, "blending": 1.0},
], ids=str)  # fmt: skip
def test_settings_change_the_blend(changes):
    view = layer(1)

    kept = kept_of(Compactor(keep=12, sinks=FIRST, window=LAST, sketch=4, **changes), view)

    assert kept == expected_heads(
        view, 12, sketch=4, blending=changes["blending"], seed=changes.get("seed", 0),
        scale=8**-0.5 if "scaled" in changes else 1.0,
    )  # fmt: skip


@pytest.mark.parametrize("chunk", [1, 6, 35, 36])
def test_attention_stays_within_its_chunk(monkeypatch, chunk):
    view = layer(2)
    monkeypatch.setattr(compact, "_ATTENTION_CHUNK", chunk)

    method = Compactor(keep=15, sinks=FIRST, window=LAST, sketch=5, blending=0.1)

    assert kept_of(method, view) == expected_heads(view, 15, sketch=5, blending=0.1, chunk=chunk)


def test_the_sketch_is_the_same_for_a_seed():
    method = Compactor(keep=15, sinks=FIRST, window=LAST, sketch=2, blending=1.0)
    other = Compactor(keep=15, sinks=FIRST, window=LAST, sketch=2, blending=1.0, seed=9)

    assert kept_of(method, layer(3)) == kept_of(method, layer(3))
    assert kept_of(method, layer(3)) != kept_of(other, layer(3))


def test_the_ends_of_a_short_prompt_stay():
    view = seen_layer(0, 9, heads=6, turn=turned)

    kept = kept_of(Compactor(keep=8, sinks=4, window=3, sketch=2), view)

    assert all(len(head) == 8 and {0, 1, 2, 3, 6, 7, 8} <= set(head) for head in kept)


def test_it_runs_in_a_model():
    prompt = prompt_of(tokens_of(LENGTH), protected={20})
    with torch.inference_mode():
        _, row = evicted_row(tiny_decoder(seed=3), Compactor(keep=20, sketch=4), prompt)

    for entries in row.tail.layers:
        assert entries.length == 20
        assert all({*range(8), 20, *range(36, 40)} <= set(head) for head in entries.kept.tolist())

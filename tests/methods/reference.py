"""Slow references of the methods, written step by step over whole attention matrices."""

from __future__ import annotations

import torch

from forethought.contracts.records import Prompt
from forethought.engine.batch import Look
from forethought.engine.cache import Row
from tests.tiny import batch_of


class TinyDraft:
    """A draft with the target's own tokens: runs a tiny decoder through the engine."""

    name = "tiny"

    def __init__(self, decoder, ends=()):
        self.decoder = decoder
        self.ends = set(ends)
        self.layers = len(decoder.shape.layers)
        self.layer_span = (1, self.layers)
        self.runs = 0

    def read(self, prompt, tap, *, layers=None, lookahead=0):
        self.runs += 1
        batch, row = batch_of(self.decoder), Row(len(self.decoder.shape.layers))
        look = Look(tap, len(prompt))
        if not lookahead:
            batch.read(row, prompt.tokens, look, layers)
            return []
        logits = batch.read(row, prompt.tokens, look)[-1]
        written = [int(logits.argmax())]
        while len(written) < lookahead and written[-1] not in self.ends:
            logits = batch.step([row], [written[-1]], look)[0]
            written.append(int(logits.argmax()))
        return written

    def carry(self, importance, prompt):
        return importance


def prompt_of(tokens, protected=()):
    spans = tuple((i, i + 1) for i in range(len(tokens)))
    return Prompt(tuple(tokens), spans, "x" * len(tokens), frozenset(protected))


def attention_matrices(decoder, tokens):
    """Per layer: attention [H, L, L], keys [K, L, D] and values, all in float64."""
    found = []

    def attend(layer, queries, keys, values):
        shape = decoder.shape.layers[layer]
        groups, length = shape.heads // shape.kv_heads, len(queries)
        future = torch.ones(length, length, dtype=torch.bool).triu(1)
        heads, mixed = [], []
        for head in range(shape.heads):
            scores = queries[:, head].double() @ keys[:, head // groups].double().T * shape.scale
            weights = torch.softmax(scores.masked_fill(future, -torch.inf), -1)
            heads.append(weights)
            mixed.append(weights @ values[:, head // groups].double())
        found.append((torch.stack(heads), keys.transpose(0, 1), values.transpose(0, 1)))
        return torch.stack(mixed, 1).flatten(1).to(queries.dtype)

    places = torch.arange(len(tokens))
    decoder.forward(torch.tensor(tokens), places, attend, phase="prefill")
    return found


def specpc_keep(matrices, length, written, *, budget, window, kernel, neighbours, first_layer,
                reduction="max", pool="max"):  # fmt: skip
    """Steps 1 to 9 of the published algorithm, one number at a time.

    `matrices` are of [prompt; written tokens but the last]: rows from `length` on are the
    decode steps.
    """
    if length <= budget:
        return list(range(length))
    window = min(window, length)
    scores = [0.0] * length
    for attention, _, _ in matrices[first_layer:]:
        for head in attention:
            rows = [(length - window + i, i / (window - 1) if window > 1 else 1.0)
                    for i in range(window)]  # fmt: skip
            rows += [(length + t, 1.0) for t in range(max(0, len(written) - 1))]
            for row, weight in rows:
                for column in range(length):
                    value = float(head[row, column]) * weight if column <= row else 0.0
                    if reduction == "max":
                        scores[column] = max(scores[column], value)
                    else:
                        scores[column] += value
    left = (kernel - 1) // 2
    padded = [0.0] * left + scores + [0.0] * (kernel - 1 - left)
    join = max if pool == "max" else lambda part: sum(part) / kernel
    smooth = [join(padded[i : i + kernel]) for i in range(length)]
    ranked = sorted(range(length), key=lambda i: (-smooth[i], i))[:budget]
    back = (neighbours - 1) // 2
    offsets = sorted(range(-back, neighbours - back), key=abs)
    wanted = list(range(length - window, length))
    for candidate in ranked:
        for offset in offsets:
            place = min(max(candidate + offset, 0), length - 1)
            if place not in wanted:
                wanted.append(place)
    return sorted(wanted[:budget])


def window_keep(attention, kv_heads, length, *, budget, window, kernel, drop, reduction, pool):
    """SnapKV's and SpecKV's choice for one layer: kept prompt entries per key head, by loops.

    Queries are the rows from `length - window` on; `drop` is how many prompt positions at the
    end are never candidates.
    """
    heads, rows, _ = attention.shape
    groups, candidates = heads // kv_heads, length - drop
    kept = []
    for k in range(kv_heads):
        scores = []
        for column in range(candidates):
            values = [
                float(attention[head, row, column])
                for head in range(k * groups, (k + 1) * groups)
                for row in range(length - window, rows)
            ]
            scores.append(max(values) if reduction == "max" else sum(values) / len(values))
        half = kernel // 2
        padded = [0.0] * half + scores + [0.0] * half
        join = max if pool == "max" else lambda part: sum(part) / kernel
        smooth = [join(padded[i : i + kernel]) for i in range(candidates)]
        ranked = sorted(range(candidates), key=lambda i: (-smooth[i], i))
        kept.append(sorted(ranked[:budget]))
    return kept


def evicted_row(decoder, method, prompt):
    """A row after a method's eviction, as `runs` makes it; and its batch."""
    batch, row = batch_of(decoder), Row(len(decoder.shape.layers))
    look = Look(method.on_layer, len(prompt), prompt.protected)
    batch.read(row, [*prompt.tokens, *(prompt.lookahead or ())], look)
    return batch, row

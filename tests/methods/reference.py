"""Slow references of the methods, written step by step over whole attention matrices."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch

from forethought.contracts.records import LayerShape, Prompt
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.new_tokens import LayerHook
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

    def read(self, prompt, tap, *, layers=None, lookahead=0, queries=None):
        self.runs += 1
        batch, row = batch_of(self.decoder), SequenceCache(len(self.decoder.shape.layers))
        look = LayerHook(tap, len(prompt))
        if not lookahead:
            batch.prefill_whole(row, prompt.tokens, look, layers)
            return []
        logits = batch.prefill_whole(row, prompt.tokens, look)[-1]
        written = [int(logits.argmax())]
        while len(written) < lookahead and written[-1] not in self.ends:
            logits = batch.step([row], [written[-1]], look)[0]
            written.append(int(logits.argmax()))
        return written

    def carry(self, importance, prompt):
        return importance

    def recall(self, what, prompt, find):
        return find()


def prompt_of(tokens, protected=()):
    spans = tuple((i, i + 1) for i in range(len(tokens)))
    return Prompt(tuple(tokens), spans, "x" * len(tokens), frozenset(protected))


def attention_matrices(decoder, tokens):
    """Per layer: attention [H, L, L], keys [K, L, D] and values, all in float64."""
    found = []

    def attend(layer, queries, keys, values):
        shape = decoder.shape.layers[layer]
        groups, length = shape.heads // shape.kv_heads, len(queries)
        future = queries.new_ones(length, length).triu(1).bool()
        heads, mixed = [], []
        for head in range(shape.heads):
            scores = queries[:, head].double() @ keys[:, head // groups].double().T * shape.scale
            weights = torch.softmax(scores.masked_fill(future, -torch.inf), -1)
            heads.append(weights)
            mixed.append(weights @ values[:, head // groups].double())
        found.append((torch.stack(heads), keys.transpose(0, 1), values.transpose(0, 1)))
        return torch.stack(mixed, 1).flatten(1).to(queries.dtype)

    places = torch.arange(len(tokens), device=decoder.device)
    decoder.forward(torch.tensor(tokens, device=decoder.device), places, attend, phase="prefill")
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
        for head in attention.tolist():
            rows = [(length - window + i, i / (window - 1) if window > 1 else 1.0)
                    for i in range(window)]  # fmt: skip
            rows += [(length + t, 1.0) for t in range(max(0, len(written) - 1))]
            for row, weight in rows:
                for column in range(length):
                    value = head[row][column] * weight if column <= row else 0.0
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
    batch, row = batch_of(decoder), SequenceCache(len(decoder.shape.layers))
    look = LayerHook(method.on_layer, len(prompt), prompt.protected)
    batch.prefill_whole(row, [*prompt.tokens, *(prompt.lookahead or ())], look)
    return batch, row


@dataclass
class SeenLayer:
    """A layer as methods see it (contracts.roles.LayerView), by loops over heads and queries."""

    queries: torch.Tensor
    keys: torch.Tensor
    values: torch.Tensor
    shape: LayerShape
    prompt_length: int
    layer: int = 0
    layers: int = 1
    protected: frozenset = frozenset()
    held: torch.Tensor | None = None
    positions: torch.Tensor | None = None
    memory: torch.Tensor | None = None
    beyond: int = 0
    turn: object = None
    decoding: bool = False
    inputs: torch.Tensor | None = None
    out: torch.Tensor | None = None
    """[H, D, hidden]: the output projection of each head."""
    charged: float = 0.0

    def __post_init__(self):
        if self.positions is None:
            self.positions = torch.arange(self.keys.shape[1])

    def remember(self, scores):
        self.memory = scores

    def rotate(self, vectors, positions):
        return self.turn(vectors, positions)

    def unrotated(self):
        keys = self.turn(self.keys.transpose(0, 1), -self.positions).transpose(0, 1)
        newest = -self.positions[len(self.positions) - len(self.queries) :]
        return replace(self, queries=self.turn(self.queries, newest), keys=keys)

    def charge(self, flops):
        self.charged += flops

    def projected_norms(self, order, entries=None):
        values = self.values if entries is None else self.values[:, entries]
        groups, norms = len(self.out) // len(self.keys), []
        for head, weights in enumerate(self.out):
            projected = values[head // groups].double() @ weights.double()
            norms.append(projected.norm(p=order, dim=-1))
        return torch.stack(norms).view(len(self.keys), groups, -1).float()

    def window_rows(self, count):
        kv_heads, entries, _ = self.keys.shape
        total, heads, _ = self.queries.shape
        count, groups = min(count, total), heads // kv_heads
        rows = self.keys.new_zeros(kv_heads, groups, count, entries, dtype=torch.float32)
        for k in range(kv_heads):
            held = entries if self.held is None else int(self.held[k])
            for g in range(groups):
                for row, n in enumerate(range(total - count, total)):
                    seen = min(held, held - total + n + 1 + self.beyond)
                    logits = self.keys[k, :seen].double() @ self.queries[n, k * groups + g].double()
                    rows[k, g, row, :seen] = torch.softmax(logits * self.shape.scale, -1).float()
        yield rows

    def window_reduced(self, weights, reduction):
        (rows,) = self.window_rows(len(weights))
        weighted = [rows[:, :, n] * weight for n, weight in enumerate(weights)]
        return sum(weighted) if reduction == "sum" else torch.stack(weighted).amax(0)


def seen_layer(seed, entries, *, heads=4, kv_heads=2, size=8, queries=None, **more):
    """A layer of random tensors."""
    draw = torch.Generator().manual_seed(seed)
    shape = LayerShape(heads, kv_heads, size, size**-0.5)
    asked = torch.randn(queries or entries, heads, size, generator=draw)
    keys = 1.5 * torch.randn(kv_heads, entries, size, generator=draw)
    values = torch.randn(kv_heads, entries, size, generator=draw)
    return SeenLayer(asked, keys, values, shape, **{"prompt_length": entries, **more})


def layers_after(decoder, tokens, past=None, start=0, shown=None):
    """Read tokens from position `start` on, behind past layers cut head by head, by loops.

    The inputs of each layer's attention are appended to `shown`, if given.
    `past` is for each layer (keys, values), each a list of [M, D] over key heads. Returns the
    logits after the last token and for each layer (queries, keys, values) of these tokens.
    """
    found = []

    def attend(layer, queries, keys, values):
        shape = decoder.shape.layers[layer]
        groups = shape.heads // shape.kv_heads
        mixed = queries.new_zeros(len(queries), shape.heads, values.shape[-1])
        for head in range(shape.heads):
            k = head // groups
            old = past[layer] if past else ([keys[:0, k]] * (k + 1), [values[:0, k]] * (k + 1))
            own_keys = torch.cat([old[0][k], keys[:, k]])
            own_values = torch.cat([old[1][k], values[:, k]])
            for n in range(len(queries)):
                seen = len(old[0][k]) + n + 1
                weights = torch.softmax(own_keys[:seen] @ queries[n, head] * shape.scale, -1)
                mixed[n, head] = weights @ own_values[:seen]
        found.append((queries, keys, values))
        return mixed.flatten(1)

    places = torch.arange(start, start + len(tokens), device=decoder.device)
    packed = torch.tensor(tokens, device=decoder.device)
    ends = torch.tensor([len(tokens) - 1])
    show = None if shown is None else lambda layer, inputs: shown.append(inputs())
    logits = decoder.forward(packed, places, attend, phase="prefill", logits_at=ends, show=show)
    return logits[0], found


@dataclass
class SlowCache:
    """A prompt read whole (contracts.roles.FullCacheView), everything computed anew by loops."""

    decoder: object
    prompt: Prompt
    ends: frozenset = frozenset()
    requests: list = field(default_factory=list)
    """What was asked for by `asked`."""
    written: list = field(default_factory=list)
    """Tokens that were written by `write`."""

    def __post_init__(self):
        self.logits, self._read = layers_after(self.decoder, list(self.prompt.tokens))
        self.layers = [self._view(n, *read) for n, read in enumerate(self._read)]

    def _view(self, layer, queries, keys, values, **more):
        return SeenLayer(
            queries,
            keys.transpose(0, 1),
            values.transpose(0, 1),
            self.decoder.shape.layers[layer],
            len(self.prompt),
            layer,
            len(self.decoder.shape.layers),
            self.prompt.protected,
            out=self.decoder.output_weights(layer),
            turn=lambda vectors, where: self.decoder.rotate(layer, vectors, where),
            **more,
        )

    def encode(self, text):
        return [ord(letter) % 97 for letter in text]

    def asked(self, text):
        self.requests.append(text)
        return self.encode(text)[:6]

    def write(self, kept, count):
        past = [
            tuple([part[own, k] for k, own in enumerate(entries)] for part in (keys, values))
            for entries, (_, keys, values) in zip(kept, self._read, strict=True)
        ]
        logits, queries = self.logits, [[] for _ in past]
        for step in range(count):
            token = int(logits.argmax())
            self.written.append(token)
            logits, read = layers_after(self.decoder, [token], past, len(self.prompt) + step)
            for layer, (asked, keys, values) in enumerate(read):
                queries[layer].append(asked)
                for part, new in zip(past[layer], (keys, values), strict=True):
                    part[:] = [torch.cat([old, new[:, k]]) for k, old in enumerate(part)]
            if token in self.ends:
                break
        return [
            replace(view, queries=torch.cat([view.queries, *own]), beyond=len(own))
            for view, own in zip(self.layers, queries, strict=True)
        ]

    def read(self, tokens, tap, *, after=None):
        after = len(self.prompt) if after is None else after
        before = list(self.prompt.tokens[:after])
        shown = []
        _, read = layers_after(self.decoder, [*before, *tokens], shown=shown)
        for layer, (queries, keys, values) in enumerate(read):
            tap(self._view(layer, queries[after:], keys, values, inputs=shown[layer][after:]))

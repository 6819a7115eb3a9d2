"""Evictions during decode: the engine's, against a slow sequence of lists and loops."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch

from forethought.engine.cache.query_window import QueryWindow
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.decode_eviction import DecodeEviction
from forethought.engine.new_tokens import LayerHook
from tests.methods.reference import SeenLayer
from tests.tiny import batch_of


@dataclass
class SlowHead:
    """The KV-cache entries of one key head, oldest first."""

    positions: list = field(default_factory=list)
    keys: list = field(default_factory=list)
    values: list = field(default_factory=list)
    received: list = field(default_factory=list)
    """Attention from all queries so far, averaged over the query group and summed."""
    memory: list = field(default_factory=list)
    """The method's remembered score of each entry; shorter by the entries since."""

    def keep(self, places):
        for name in ("positions", "keys", "values", "received", "memory"):
            held = getattr(self, name)
            setattr(self, name, [held[place] for place in places if place < len(held)])


@dataclass
class SlowLayer:
    """One layer of a slow sequence."""

    shape: object
    heads: list
    queries: list = field(default_factory=list)
    """The position and the vectors [H, D] of every query so far, oldest first."""

    def attend(self, position, queries, keys, values):
        """Append a token's entry to every head; the mixed values [H, D] of its queries."""
        self.queries.append((position, queries))
        groups, mixed = len(queries) // len(self.heads), []
        for number, head in enumerate(self.heads):
            head.positions.append(position)
            head.keys.append(keys[number])
            head.values.append(values[number])
            head.received.append(0.0)
            for query in queries[number * groups : (number + 1) * groups]:
                weights = self.weights(head, position, query)
                mixed.append(weights @ torch.stack(head.values))
                head.received = [
                    r + w / groups for r, w in zip(head.received, weights.tolist(), strict=True)
                ]
        return torch.stack(mixed)

    def weights(self, head, position, query):
        """The attention [E] of a query at a position over the entries held."""
        logits = torch.stack([key @ query for key in head.keys]) * self.shape.scale
        later = torch.tensor([where > position for where in head.positions])
        return torch.softmax(logits.masked_fill(later.to(logits.device), -torch.inf), -1)

    def group(self, number):
        """The slice of query heads that share a key head."""
        groups = self.shape.heads // self.shape.kv_heads
        return slice(number * groups, (number + 1) * groups)


Score = Callable[[SlowLayer, int], Sequence[float]]
"""(layer, key head) to a score of every entry held: a slow reference of an importance."""


def newest(layer, number):
    """StreamingLLM's score: the newer an entry, the higher."""
    return layer.heads[number].positions


def short_keys(layer, number):
    """KNorm's score: the shorter its key, the higher."""
    return [-float(key.norm()) for key in layer.heads[number].keys]


def received(layer, number):
    """H2O's score: the attention an entry received so far."""
    return layer.heads[number].received


def window_attention(window, kernel, pool):
    """SnapKV's score: the mean attention of the last queries, pooled over neighbours."""

    def score(layer, number):
        head = layer.heads[number]
        rows = [
            layer.weights(head, position, query)
            for position, queries in layer.queries[-window:]
            for query in queries[layer.group(number)]
        ]
        until = head.positions[-1] + 1 - window
        sums = torch.stack(rows).sum(0).tolist()
        means = [
            sums[place] / len(rows) if position < until else 0.0
            for place, position in enumerate(head.positions)
        ]
        half = kernel // 2
        padded = [0.0] * half + means + [0.0] * half
        parts = [padded[place : place + kernel] for place in range(len(means))]
        return [max(part) if pool == "max" else sum(part) / kernel for part in parts]

    return score


class SlowSequence:
    """A sequence decoded by loops, which evicts by `score`, or else as the method itself chooses.

    With a score, every head keeps the same number of entries: those that always stay, and the
    best of the others. Without one, the method is shown views made of the lists.
    """

    def __init__(self, decoder, method, prompt, score=None, sight=256):
        self.decoder, self.method, self.prompt = decoder, method, prompt
        self.score, self.sight = score, sight
        self.layers = [
            SlowLayer(shape, [SlowHead() for _ in range(shape.kv_heads)])
            for shape in decoder.shape.layers
        ]
        self.decoded = 0
        self.evictions = 0
        self._forward(prompt.tokens, 0)
        self._evict()

    def step(self, token):
        """Decode one token; its logits [V]. Evict after every `evicts_every` of them."""
        logits = self._forward([token], len(self.prompt) + self.decoded)
        self.decoded += 1
        if self.decoded % self.method.evicts_every() == 0:
            self._evict()
        return logits

    def _forward(self, tokens, start):
        def attend(layer, queries, keys, values):
            rows = zip(queries, keys, values, strict=True)
            mixed = [self.layers[layer].attend(start + n, *row) for n, row in enumerate(rows)]
            return torch.stack(mixed).flatten(1)

        places = torch.arange(start, start + len(tokens), device=self.decoder.device)
        packed = torch.tensor(list(tokens), device=self.decoder.device)
        ends = torch.tensor([len(tokens) - 1])
        return self.decoder.forward(packed, places, attend, phase="decode", logits_at=ends)[0]

    def _evict(self):
        for number, layer in enumerate(self.layers):
            kept = self._chosen(number, layer) if self.score is None else self._best(layer)
            if kept is not None:
                self.evictions += 1
                for head, places in zip(layer.heads, kept, strict=True):
                    head.keep([int(place) for place in places])

    def _best(self, layer):
        budget = self.method.keep - self.method.evicts_every()
        if layer.heads[0].positions[-1] + 1 <= budget:
            return None
        return [self._of_head(layer, number, budget) for number in range(len(layer.heads))]

    def _of_head(self, layer, number, budget):
        parts, positions = self.method.eviction(), layer.heads[number].positions
        window = parts.newest
        window = window if isinstance(window, int) else round(window * budget)
        protected = self.prompt.protected if self.method.protect else ()
        stays = [
            place
            for place, position in enumerate(positions)
            if position < parts.sinks or position in protected or position > positions[-1] - window
        ]
        scores = self.score(layer, number)
        free = [place for place in range(len(positions)) if place not in stays]
        best = sorted(free, key=lambda place: (-scores[place], place))[: budget - len(stays)]
        return sorted([*stays, *best])

    def _chosen(self, number, layer):
        view = self._view(number, layer)
        kept = self.method.on_layer(view)
        if view.memory is not None:
            for head, scores in zip(layer.heads, view.memory, strict=True):
                head.memory = scores[: len(head.positions)].tolist()
        return kept

    def _view(self, number, layer):
        heads = layer.heads
        ragged = len({len(head.positions) for head in heads}) > 1
        remembered = bool(heads[0].memory)
        places = [torch.tensor(head.positions) for head in heads]
        queries = [queries for _, queries in layer.queries]
        return SeenLayer(
            torch.stack(queries if not self.decoded else queries[-self.sight :]),
            *(_padded([torch.stack(part) for part in kind]) for kind in zip(
                *((head.keys, head.values) for head in heads), strict=True)),
            layer.shape,
            len(self.prompt),
            number,
            len(self.layers),
            self.prompt.protected,
            held=torch.tensor([len(head.positions) for head in heads]) if ragged else None,
            positions=_padded(places, -1),
            memory=_padded([torch.tensor(h.memory) for h in heads]) if remembered else None,
            decoding=self.decoded > 0,
            out=self.decoder.output_weights(number),
            turn=lambda vectors, where: self.decoder.rotate(number, vectors, where),
        )  # fmt: skip


def _padded(rows, value=0):
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)


def decoded(decoder, method, prompt, tokens, sight=256) -> Iterator[tuple]:
    """Prefill and decode through the engine: the sequence's cache and logits [V] by token.

    `sight` is the number of newest queries that evictions during decode see.
    """
    batch, row = batch_of(decoder), SequenceCache(len(decoder.shape.layers))
    row.query_window = QueryWindow(sight)
    batch.prefill_whole(
        row, prompt.tokens, LayerHook(method.on_layer, len(prompt), prompt.protected)
    )
    every = method.evicts_every()
    review = DecodeEviction(method.on_layer, decoder, every, len(prompt), prompt.protected)
    for token in tokens:
        logits = batch.step([row], [token])[0]
        review.after_step(row, batch.meter)
        yield row, logits


def held_by(decoder, row):
    """By layer and key head, the positions of the entries held."""
    shapes = enumerate(decoder.shape.layers)
    return [
        [head.tolist() for head in row.head_positions(layer, shape.kv_heads)]
        for layer, shape in shapes
    ]


def check_decode_cuts(decoder, method, prompt, tokens, score: Score | None = None, sight=256):
    """Decode `tokens` under an eviction and check every step; the sequence's cache at the end.

    The engine and the slow sequence must agree on logits and on the entries held. The budget is
    never exceeded, protected entries stay, and an evicted entry never returns.
    """
    slow = SlowSequence(decoder, method, prompt, score, sight)
    layers, before = len(decoder.shape.layers), None
    for step, (row, logits) in enumerate(decoded(decoder, method, prompt, tokens, sight)):
        torch.testing.assert_close(logits, slow.step(tokens[step]), rtol=1e-5, atol=1e-6)
        held = held_by(decoder, row)
        assert held == [[head.positions for head in layer.heads] for layer in slow.layers]
        assert sum(row.lengths()) <= method.keep * layers + 1e-9
        for layer, heads in enumerate(held):
            for number, head in enumerate(heads):
                assert prompt.protected <= set(head)
                newer = {len(prompt) + step}
                assert before is None or set(head) <= set(before[layer][number]) | newer
        before = held
    assert slow.evictions > 0, "nothing was evicted"
    return row

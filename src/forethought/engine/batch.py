"""One forward pass over the packed tokens of any number of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from forethought.contracts.records import LayerShape
from forethought.contracts.roles import LayerView, Network, Pattern, Tap
from forethought.cost.flops import causal_pairs
from forethought.engine.attention.compiled import attend_compiled, attendable, kernels_for
from forethought.engine.attention.decode import attend_step
from forethought.engine.attention.masked_batch import attend_jointly, fits
from forethought.engine.attention.prefill import Visibility, attend_causal
from forethought.engine.attention.sparse import attend_sparse, pattern_pairs
from forethought.engine.cache.sequence_cache import KVSlice, SequenceCache
from forethought.engine.layer_view import CachedLayer, by_heads, view_of
from forethought.engine.meter import Meter
from forethought.engine.static_step import NewEntries, StaticSteps
from forethought.engine.upload import upload
from forethought.models.hardware.threads import watched

CHUNK = 2048  # prompt tokens a pass, where no method needs to see the whole prompt at once


@dataclass(frozen=True)
class NewTokens:
    """New tokens of one row."""

    row: SequenceCache
    tokens: Sequence[int]
    positions: Sequence[int] = ()
    """Where they stand; one after the other when empty."""
    meter: Meter | None = None
    """Whom to charge; whoever runs the batch when None."""
    hidden_tail: int = 0
    """Newest tokens that the logits do not stand behind."""

    def place(self) -> Sequence[int]:
        """Give the tokens their places in the row: their positions."""
        if not self.positions:
            return self.row.advance(len(self.tokens))
        self.row.place(self.positions)
        return self.positions


@dataclass(frozen=True)
class MeterShare:
    """What one meter is charged for in a pass."""

    meter: Meter
    parts: Sequence[NewTokens]
    pasts: Sequence[tuple[float, ...]]
    bytes_read: int


@dataclass(frozen=True)
class LayerHook:
    """A tap, and what of the row's entries is the prompt."""

    tap: Tap
    length: int
    protected: frozenset[int] = frozenset()
    thin: Callable[[LayerView], Pattern | None] | None = None
    """Asked before a layer's attention which keys its queries may see."""
    hidden_tail: int = 0
    """Newest tokens that the tap is not shown."""


class Batch:
    """Runs a network over rows and keeps the meter."""

    def __init__(self, network: Network, meter: Meter, steps: StaticSteps | None = None) -> None:
        """`steps` decode in the place of plain passes where they can."""
        self.network = network
        self.meter = meter
        self.steps = steps

    def prefill(
        self, row: SequenceCache, tokens: Sequence[int], positions: Sequence[int] = ()
    ) -> Tensor:
        """Read tokens into a row, chunk by chunk; logits [V] after the last of them."""
        logits = torch.empty(0)
        for start in range(0, len(tokens), CHUNK):
            chunk = slice(start, start + CHUNK)
            part = NewTokens(row, tokens[chunk], positions[chunk])
            last = start + CHUNK >= len(tokens)
            logits = self.forward([part], phase="prefill", logits=last)
        return logits[-1]

    def read(
        self,
        row: SequenceCache,
        tokens: Sequence[int],
        hook: LayerHook,
        layers: int | None = None,
        positions: Sequence[int] = (),
    ) -> Tensor:
        """Read tokens in one pass, showing each layer; entries the tap drops are freed.

        Returns logits [1, V] after the last token that is shown, or an empty tensor when stopped
        early.
        """
        part = NewTokens(row, tokens, positions, hidden_tail=hook.hidden_tail)
        return self.forward([part], phase="prefill", hook=hook, layers=layers)

    def step(
        self, rows: Sequence[SequenceCache], tokens: Sequence[int], hook: LayerHook | None = None
    ) -> Tensor:
        """One new token for each row: logits [R, V]."""
        parts = [NewTokens(row, [token]) for row, token in zip(rows, tokens, strict=True)]
        return self.forward(parts, phase="decode", hook=hook)

    @torch.inference_mode()
    def forward(
        self,
        parts: Sequence[NewTokens],
        *,
        phase: str,
        hook: LayerHook | None = None,
        layers: int | None = None,
        logits: bool = True,
    ) -> Tensor:
        """Logits [R, V] after each part, but what is aside (empty when not asked for)."""
        shares = self._shares(parts, layers)
        positions = [p for part in parts for p in part.place()]
        tokens = [t for part in parts for t in part.tokens]

        def plain() -> Tensor:
            attend = BatchAttention(self, parts, positions, hook)
            inputs = self._inputs(parts, tokens, positions)
            with self._charged_in_part(shares, phase, attend):
                return self._pass(attend, inputs, phase=phase, layers=layers, logits=logits)

        out = None
        with watched(self.network.device):
            if self.steps is not None and hook is None and phase == "decode":
                new = NewEntries([part.row for part in parts], tokens, positions)
                out = self.steps.forward(self.network, new, plain)
            if out is None:
                out = plain()
        for share in shares:
            self._charge(share, phase, layers, int(logits))
        return out

    @contextmanager
    def _charged_in_part(
        self, shares: Sequence[MeterShare], phase: str, attend: BatchAttention
    ) -> Iterator[None]:
        """Charge the layers that a pass has reached, should it be cancelled in between."""
        try:
            yield
        except BaseException:
            for share in shares if attend.reached else ():
                self._charge(share, phase, attend.reached, 0)
            raise

    def _inputs(
        self, parts: Sequence[NewTokens], tokens: Sequence[int], positions: Sequence[int]
    ) -> Sequence[Tensor]:
        """Tokens and positions [N], and where each part ends [R], in one transfer."""
        stops = accumulate(len(part.tokens) for part in parts)
        ends = [stop - 1 - part.hidden_tail for stop, part in zip(stops, parts, strict=True)]
        packed = upload([*tokens, *positions, *ends], torch.long, self.network.device)
        return torch.split(packed, [len(tokens), len(tokens), len(ends)])

    def _pass(
        self,
        attend: BatchAttention,
        inputs: Sequence[Tensor],
        *,
        phase: str,
        layers: int | None,
        logits: bool,
    ) -> Tensor:
        tokens, positions, ends = inputs
        return self.network.forward(
            tokens,
            positions,
            attend,
            phase=phase,
            logits_at=ends if logits else ends[:0],
            layers=layers,
        )

    def _charge(self, share: MeterShare, phase: str, layers: int | None, logits: int) -> None:
        spans = [
            (past, len(part.tokens)) for past, part in zip(share.pasts, share.parts, strict=True)
        ]
        weights = self.network.weight_bytes(phase, layers, sum(tokens for _, tokens in spans))
        rows = len(share.parts) * logits
        share.meter.forward(self.network.shape, weights, spans, rows, layers)
        share.meter.read_cache(share.bytes_read)
        share.meter.watch([part.row for part in share.parts])

    def _shares(self, parts: Sequence[NewTokens], layers: int | None) -> list[MeterShare]:
        """The parts of each meter: everyone is charged as if its rows were alone."""
        meters = [part.meter or self.meter for part in parts]
        whose = {id(meter): meter for meter in meters}
        groups = [
            (meter, [part for part, its in zip(parts, meters, strict=True) if its is meter])
            for meter in whose.values()
        ]
        return [
            MeterShare(meter, mine, [p.row.lengths() for p in mine], self._bytes_read(mine, layers))
            for meter, mine in groups
        ]

    def _bytes_read(self, parts: Sequence[NewTokens], layers: int | None) -> int:
        """Bytes of keys and values that a pass will read; pieces that rows share once."""
        segments = {id(v.segment): v.lengths() for part in parts for v in part.row.views}
        new = sum(len(part.tokens) for part in parts)
        held = [*segments.values(), *(part.row.tail.lengths() for part in parts)]
        used = self.network.shape.layers[:layers]
        sizes = [2 * self.network.dtype.itemsize * one.kv_heads * one.head_dim for one in used]
        totals = [new + sum(lengths) for lengths in zip(*held, strict=True)]
        return int(sum(total * size for total, size in zip(totals, sizes, strict=False)))


class BatchAttention:
    """The attention of one forward pass: caches the new keys and values, then attends."""

    def __init__(
        self,
        batch: Batch,
        parts: Sequence[NewTokens],
        positions: list[int],
        hook: LayerHook | None,
    ) -> None:
        self._batch = batch
        self._parts = parts
        self._positions = positions
        self._hook = hook
        self.reached = 0
        """Layers that the pass has completed."""
        self._rows = [part.row for part in parts]
        self._single = all(len(part.tokens) == 1 for part in parts)
        spans = zip(self._rows, self._spans(), strict=True)
        self._watched = [(row.recent, span) for row, span in spans if row.recent is not None]

    def __call__(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """q [N, H, D], k [N, K, D], v [N, K, V] of this step's tokens to [N, H * V]."""
        self.reached = layer
        shape = self._batch.network.shape.layers[layer]
        for recent, span in self._watched:
            recent.push(layer, queries[span])
        if self._single and self._hook is None:
            return self._step(layer, queries, keys, values)
        self._append(layer, keys, values)
        out = [
            self._attend(part.row, layer, shape, queries[span], span)
            for part, span in zip(self._parts, self._spans(), strict=True)
        ]
        return out[0] if len(out) == 1 else torch.cat(out)

    def _step(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """One new token a row: each row by the compiled kernels if they can read its entries."""
        rows, shape = self._rows, self._batch.network.shape.layers[layer]
        made = kernels_for(queries, values, shape)
        able = [made is not None and attendable(row, layer) for row in rows]
        if made is not None and all(able):
            return attend_compiled(made, (queries, keys, values), rows, layer, shape)
        if made is not None and any(able):
            # Each row alone: how it is attended to must not depend on its company.
            parts = zip(*(torch.split(part, 1) for part in (queries, keys, values)), strict=True)
            places = zip(rows, parts, strict=True)
            return torch.cat([self._step_of(row, layer, *part) for row, part in places])
        self._append(layer, keys, values)
        many = queries.device.type != "cpu" and fits(rows, layer, shape)
        attend = attend_jointly if many else attend_step
        return attend(queries, rows, layer, shape)

    def _step_of(
        self, row: SequenceCache, layer: int, queries: Tensor, keys: Tensor, values: Tensor
    ) -> Tensor:
        shape = self._batch.network.shape.layers[layer]
        made = kernels_for(queries, values, shape)
        if made is not None and attendable(row, layer):
            return attend_compiled(made, (queries, keys, values), [row], layer, shape)
        row.append(layer, keys, values)
        return attend_step(queries, [row], layer, shape)

    def _spans(self) -> Iterator[slice]:
        """Where the tokens of each part stand."""
        start = 0
        for part in self._parts:
            yield slice(start, start + len(part.tokens))
            start += len(part.tokens)

    def _append(self, layer: int, keys: Tensor, values: Tensor) -> None:
        if len(self._parts) == 1:
            return self._rows[0].append(layer, keys, values)
        for part, span in zip(self._parts, self._spans(), strict=True):
            part.row.append(layer, keys[span], values[span])
        return None

    def _attend(
        self, row: SequenceCache, layer: int, shape: LayerShape, queries: Tensor, span: slice
    ) -> Tensor:
        hook = self._hook
        if hook is None:
            return self._mixed(row, layer, shape, queries, span)
        view = view_of(
            row,
            layer,
            self._batch.network,
            queries,
            prompt_length=hook.length,
            protected=hook.protected,
            meter=self._batch.meter,
        )
        pattern = hook.thin(view) if hook.thin else None
        if pattern is None:
            out = self._mixed(row, layer, shape, queries, span)
        else:
            out = self._thinned(row, layer, view, pattern, span)
        kept = hook.tap(view.without_newest(hook.hidden_tail) if hook.hidden_tail else view)
        if kept is not None:
            self._batch.meter.watch(self._rows)
            row.keep(layer, kept)
        return out

    def _mixed(
        self, row: SequenceCache, layer: int, shape: LayerShape, queries: Tensor, span: slice
    ) -> Tensor:
        per = shape.heads // shape.kv_heads
        out = []
        for piece in by_heads(row, layer, shape.kv_heads):
            first, stop, _ = piece.heads.indices(shape.kv_heads)
            mine = queries[:, first * per : stop * per]
            sight = self._sight(row, layer, shape, span, piece)
            out.append(attend_causal(mine, piece.keys, piece.values, shape, sight))
        return out[0] if len(out) == 1 else torch.cat(out, 1)

    def _thinned(
        self, row: SequenceCache, layer: int, view: CachedLayer, pattern: Pattern, span: slice
    ) -> Tensor:
        (whole,) = by_heads(row, layer, view.shape.kv_heads)
        sight = self._sight(row, layer, view.shape, span, whole)
        visited = pattern_pairs(pattern, len(view.queries), view.shape.kv_heads)
        dense = causal_pairs(view.keys.shape[1] - len(view.queries), len(view.queries))
        self._batch.meter.spare(view.shape, dense - visited)
        return attend_sparse(view.queries, view.keys, view.values, view.shape, sight, pattern)

    def _sight(
        self, row: SequenceCache, layer: int, shape: LayerShape, span: slice, piece: KVSlice
    ) -> Visibility:
        if shape.window is None:
            return Visibility()
        device = self._batch.network.device
        queries = torch.tensor(self._positions[span], device=device)
        where = row.head_positions(layer, shape.kv_heads)[piece.heads]
        same = all(torch.equal(where[0], other) for other in where[1:])
        keys = where[0] if same else torch.stack(where)
        return Visibility(shape.window, queries, keys.to(device))

"""One forward pass over the packed tokens of any number of sequences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from forethought.contracts.records import LayerShape
from forethought.contracts.roles import LayerView, Network, SparseOutput, Tap
from forethought.cost.flops import causal_pairs
from forethought.engine.attention.compiled import attend_compiled, attendable
from forethought.engine.attention.decode import attend_step
from forethought.engine.attention.masked_batch import attend_jointly, fits
from forethought.engine.attention.prefill import Visibility, attend_causal
from forethought.engine.cache.segment import KVSlice
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.layer_view import CachedLayer, slices_by_head, view_of
from forethought.engine.meter import Meter
from forethought.engine.static_step import NewEntries, StaticSteps
from forethought.engine.upload import upload
from forethought.models.compiled.available import kernels_for
from forethought.models.hardware.threads import watched

CHUNK = 2048  # prompt tokens per pass, unless a method must see the whole prompt at once


@dataclass(frozen=True)
class NewTokens:
    """New tokens of one sequence."""

    cache: SequenceCache
    tokens: Sequence[int]
    positions: Sequence[int] = ()
    """Their position ids; consecutive if empty."""
    meter: Meter | None = None
    """The meter to charge; None for the batch's own."""
    hidden_tail: int = 0
    """Newest tokens that the logits do not follow: logits come after the token before them."""

    def place(self) -> Sequence[int]:
        """Take positions for the tokens in the cache, and return them."""
        if not self.positions:
            return self.cache.advance(len(self.tokens))
        self.cache.place(self.positions)
        return self.positions


@dataclass(frozen=True)
class MeterShare:
    """The part of a pass that one meter is charged for."""

    meter: Meter
    parts: Sequence[NewTokens]
    pasts: Sequence[tuple[float, ...]]
    bytes_read: int


@dataclass(frozen=True)
class LayerHook:
    """A tap for each layer of a prefill or decode pass, and the extent of the prompt."""

    tap: Tap
    prompt_length: int
    protected: frozenset[int] = frozenset()
    attend: Callable[[LayerView], SparseOutput | None] | None = None
    """Computes a layer's attention over keys of its choice; None for dense attention."""
    hidden_tail: int = 0
    """Newest tokens that the tap does not see."""


class Batch:
    """Runs forward passes of a network over cached sequences, and charges them."""

    def __init__(self, network: Network, meter: Meter, steps: StaticSteps | None = None) -> None:
        """`steps` decode in the place of plain passes where they can."""
        self.network = network
        self.meter = meter
        self.steps = steps

    def prefill(
        self,
        cache: SequenceCache,
        tokens: Sequence[int],
        positions: Sequence[int] = (),
        hook: LayerHook | None = None,
    ) -> Tensor:
        """Prefill tokens in chunks, which the hook sees; returns logits [V] after the last token.

        A hook that evicts needs `prefill_whole`.
        """
        logits = torch.empty(0)
        for start in range(0, len(tokens), CHUNK):
            chunk = slice(start, start + CHUNK)
            part = NewTokens(cache, tokens[chunk], positions[chunk])
            last = start + CHUNK >= len(tokens)
            logits = self.forward([part], phase="prefill", hook=hook, logits=last)
        return logits[-1]

    def prefill_whole(
        self,
        cache: SequenceCache,
        tokens: Sequence[int],
        hook: LayerHook,
        layers: int | None = None,
        positions: Sequence[int] = (),
    ) -> Tensor:
        """Prefill tokens in one pass that shows each layer to the hook; frees the entries it drops.

        Returns logits [1, V] after the last token that the hook sees, or an empty tensor if the
        pass stops after `layers` layers. The last of these only projects queries, keys and values:
        nothing follows its attention.
        """
        part = NewTokens(cache, tokens, positions, hidden_tail=hook.hidden_tail)
        return self.forward([part], phase="prefill", hook=hook, layers=layers)

    def step(
        self, caches: Sequence[SequenceCache], tokens: Sequence[int], hook: LayerHook | None = None
    ) -> Tensor:
        """Decode one token of each sequence: logits [R, V]."""
        parts = [NewTokens(cache, [token]) for cache, token in zip(caches, tokens, strict=True)]
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
        every: bool = False,
    ) -> Tensor:
        """Logits [R, V] after each part without its hidden tail; empty without `logits`.

        With `every`, the rows are those of all tokens.
        """
        shares = self._shares(parts, layers)
        positions = [p for part in parts for p in part.place()]
        tokens = [t for part in parts for t in part.tokens]

        def arguments() -> dict[str, Any]:
            attend = BatchAttention(self, parts, positions, hook, layers)
            read, places, ends = self._inputs(parts, tokens, positions)
            rows = ends if logits else ends[:0]
            named = {"phase": phase, "logits_at": None if every else rows, "layers": layers}
            shown = {"show": attend.show} if attend.reads_inputs else {}
            return {"tokens": read, "positions": places, "attend": attend, **named, **shown}

        out = None
        with watched(self.network.device):
            if self.steps is not None and hook is None and phase == "decode":
                new = NewEntries([part.cache for part in parts], tokens, positions)
                plain = lambda: self.network.forward(**arguments())  # noqa: E731
                out = self.steps.forward(self.network, new, plain)
            if out is None:
                given = arguments()
                with self._charged_in_part(shares, phase, given["attend"]):
                    out = self.network.forward(**given)
        for share in shares:
            counted = sum(len(part.tokens) for part in share.parts) if every else len(share.parts)
            self._charge(share, phase, layers, counted * logits)
            self._refund_unread(share, layers)
        return out

    @contextmanager
    def _charged_in_part(
        self, shares: Sequence[MeterShare], phase: str, attend: BatchAttention
    ) -> Iterator[None]:
        """Charge the completed layers of a pass that is cancelled or fails."""
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

    def _charge(self, share: MeterShare, phase: str, layers: int | None, logits: int) -> None:
        spans = [
            (past, len(part.tokens)) for past, part in zip(share.pasts, share.parts, strict=True)
        ]
        weights = self.network.weight_bytes(phase, layers, sum(tokens for _, tokens in spans))
        share.meter.forward(self.network.shape, weights, spans, logits, layers)
        share.meter.read_cache(share.bytes_read)
        share.meter.track_peak([part.cache for part in share.parts])

    def _refund_unread(self, share: MeterShare, layers: int | None) -> None:
        """Refund the attention of the layer at which a pass stopped."""
        if layers is None:
            return
        shape = self.network.shape.layers[layers - 1]
        for past, part in zip(share.pasts, share.parts, strict=True):
            pairs = causal_pairs(past[layers - 1], len(part.tokens), shape.window)
            share.meter.refund_attention(shape, pairs)

    def _shares(self, parts: Sequence[NewTokens], layers: int | None) -> list[MeterShare]:
        """The parts of each meter; each is charged as if its sequences ran alone."""
        meters = [part.meter or self.meter for part in parts]
        whose = {id(meter): meter for meter in meters}
        groups = [
            (meter, [part for part, its in zip(parts, meters, strict=True) if its is meter])
            for meter in whose.values()
        ]
        return [
            MeterShare(
                meter, mine, [p.cache.lengths() for p in mine], self._bytes_read(mine, layers)
            )
            for meter, mine in groups
        ]

    def _bytes_read(self, parts: Sequence[NewTokens], layers: int | None) -> int:
        """Bytes of keys and values that a pass reads; a shared segment counts once."""
        segments = {id(v.segment): v.lengths() for part in parts for v in part.cache.views}
        new = sum(len(part.tokens) for part in parts)
        held = [*segments.values(), *(part.cache.tail.lengths() for part in parts)]
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
        layers: int | None = None,
    ) -> None:
        self._batch = batch
        self._unread = None if layers is None else layers - 1
        """The layer whose attention nothing follows."""
        self._parts = parts
        self._positions = positions
        self._hook = hook
        self.reached = 0
        """Layers that the pass has completed."""
        self._caches = [part.cache for part in parts]
        self._single = all(len(part.tokens) == 1 for part in parts)
        spans = zip(self._caches, self._spans(), strict=True)
        self._windows = [
            (cache.query_window, span) for cache, span in spans if cache.query_window is not None
        ]
        self._inputs: Callable[[], Tensor] | None = None
        self.reads_inputs = hook is not None or any(one.inputs for one, _ in self._windows)
        """Whether anything may read the inputs of attention."""

    def show(self, layer: int, inputs: Callable[[], Tensor]) -> None:
        """Note what computes the inputs of the next layer's attention, for the hook's view."""
        self._inputs = inputs
        for window, span in self._windows:
            if window.inputs is not None:
                window.inputs.push(layer, inputs()[span])

    def _inputs_of(self, span: slice) -> Callable[[], Tensor] | None:
        inputs = self._inputs
        return None if inputs is None else lambda: inputs()[span]

    def __call__(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """q [N, H, D], k [N, K, D], v [N, K, V] of this pass's tokens to [N, H * V]."""
        self.reached = layer
        shape = self._batch.network.shape.layers[layer]
        for window, span in self._windows:
            window.push(layer, queries[span])
        hook = self._hook
        plain = hook is None or (hook.attend is None and layer != self._unread)
        if self._single and plain:
            mixed = self._step(layer, queries, keys, values)
            for cache, span in zip(self._caches if hook else (), self._spans(), strict=False):
                self._show(cache, self._view(cache, layer, queries[span], span))
            return mixed
        self._append(layer, keys, values)
        out = [
            self._attend(part.cache, layer, shape, queries[span], span)
            for part, span in zip(self._parts, self._spans(), strict=True)
        ]
        return out[0] if len(out) == 1 else torch.cat(out)

    def _step(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """One new token per sequence, by the compiled kernels if they can read its entries."""
        caches, shape = self._caches, self._batch.network.shape.layers[layer]
        made = kernels_for(queries, values, shape)
        compiled = [made is not None and attendable(cache, layer) for cache in caches]
        if made is not None and all(compiled):
            return attend_compiled(made, (queries, keys, values), caches, layer, shape)
        if made is not None and any(compiled):
            # One by one: the kernel of a sequence must not depend on the other sequences.
            parts = zip(*(torch.split(part, 1) for part in (queries, keys, values)), strict=True)
            pairs = zip(caches, parts, strict=True)
            return torch.cat([self._step_of(cache, layer, *part) for cache, part in pairs])
        self._append(layer, keys, values)
        many = queries.device.type != "cpu" and fits(caches, layer, shape)
        attend = attend_jointly if many else attend_step
        return attend(queries, caches, layer, shape)

    def _step_of(
        self, cache: SequenceCache, layer: int, queries: Tensor, keys: Tensor, values: Tensor
    ) -> Tensor:
        shape = self._batch.network.shape.layers[layer]
        made = kernels_for(queries, values, shape)
        if made is not None and attendable(cache, layer):
            return attend_compiled(made, (queries, keys, values), [cache], layer, shape)
        cache.append(layer, keys, values)
        return attend_step(queries, [cache], layer, shape)

    def _spans(self) -> Iterator[slice]:
        """The range of each part in the packed tokens."""
        start = 0
        for part in self._parts:
            yield slice(start, start + len(part.tokens))
            start += len(part.tokens)

    def _append(self, layer: int, keys: Tensor, values: Tensor) -> None:
        if len(self._parts) == 1:
            return self._caches[0].append(layer, keys, values)
        for part, span in zip(self._parts, self._spans(), strict=True):
            part.cache.append(layer, keys[span], values[span])
        return None

    def _attend(
        self, cache: SequenceCache, layer: int, shape: LayerShape, queries: Tensor, span: slice
    ) -> Tensor:
        hook = self._hook
        if hook is None:
            return self._dense(cache, layer, shape, queries, span)
        view = self._view(cache, layer, queries, span)
        unread = layer == self._unread
        sparse = hook.attend(view) if hook.attend and not unread else None
        if unread:
            out = queries.new_zeros(len(queries), shape.heads * view.values.shape[-1])
        elif sparse is None:
            out = self._dense(cache, layer, shape, queries, span)
        else:
            dense = causal_pairs(view.keys.shape[1] - len(queries), len(queries), shape.window)
            self._batch.meter.refund_attention(shape, dense - sparse.pairs)
            out = sparse.out
        self._show(cache, view)
        return out

    def _view(
        self, cache: SequenceCache, layer: int, queries: Tensor, span: slice
    ) -> CachedLayer:
        """The layer of one sequence, as the hook sees it."""
        assert self._hook is not None
        return view_of(
            cache,
            layer,
            self._batch.network,
            queries,
            prompt_length=self._hook.prompt_length,
            protected=self._hook.protected,
            meter=self._batch.meter,
            show_inputs=self._inputs_of(span),
        )

    def _show(self, cache: SequenceCache, view: CachedLayer) -> None:
        """Show a layer to the hook, and drop the entries that it drops."""
        assert self._hook is not None
        tail = self._hook.hidden_tail
        kept = self._hook.tap(view.without_newest(tail) if tail else view)
        if kept is not None:
            self._batch.meter.track_peak(self._caches)
            cache.keep(view.layer, kept)

    def _dense(
        self, cache: SequenceCache, layer: int, shape: LayerShape, queries: Tensor, span: slice
    ) -> Tensor:
        per = shape.heads // shape.kv_heads
        out = []
        for kv in slices_by_head(cache, layer, shape.kv_heads):
            first, stop, _ = kv.heads.indices(shape.kv_heads)
            mine = queries[:, first * per : stop * per]
            visibility = self._visibility(cache, layer, shape, span, kv)
            out.append(attend_causal(mine, kv.keys, kv.values, shape, visibility))
        return out[0] if len(out) == 1 else torch.cat(out, 1)

    def _visibility(
        self, cache: SequenceCache, layer: int, shape: LayerShape, span: slice, kv: KVSlice
    ) -> Visibility:
        if shape.window is None:
            return Visibility()
        device = self._batch.network.device
        queries = torch.tensor(self._positions[span], device=device)
        where = cache.head_positions(layer, shape.kv_heads)[kv.heads]
        same = all(torch.equal(where[0], other) for other in where[1:])
        keys = where[0] if same else torch.stack(where)
        return Visibility(shape.window, queries, keys.to(device))

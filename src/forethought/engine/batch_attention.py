"""The attention of one forward pass over the packed tokens of any number of sequences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from forethought.contracts.records import LayerShape
from forethought.contracts.roles import Network
from forethought.cost.flops import causal_pairs
from forethought.engine.attention.compiled import attend_compiled, attendable
from forethought.engine.attention.decode import attend_step
from forethought.engine.attention.masked_batch import attend_jointly, fits
from forethought.engine.attention.prefill import Visibility, attend_causal
from forethought.engine.attention.tree import TreeRows, attend_tree, attend_tree_compiled
from forethought.engine.cache.segment import KVSlice
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.layer_view import CachedLayer, slices_by_head, view_of
from forethought.engine.meter import Meter
from forethought.engine.new_tokens import LayerHook, NewTokens
from forethought.models.compiled.available import kernels_for


class BatchAttention:
    """The attention of one forward pass: caches the new keys and values, then attends."""

    def __init__(
        self,
        network: Network,
        meter: Meter,
        parts: Sequence[NewTokens],
        positions: list[int],
        hook: LayerHook | None,
        layers: int | None = None,
    ) -> None:
        self._network, self._meter = network, meter
        self._unread = None if layers is None else layers - 1
        """The layer whose attention nothing follows."""
        self._parts = parts
        self._positions = positions
        self._hook = hook
        self.reached = 0
        """Layers that the pass has completed."""
        self._caches = [part.cache for part in parts]
        self._single = all(len(part.tokens) == 1 for part in parts)
        self._trees = {
            index: TreeRows(part.tree, positions[span])
            for index, (part, span) in enumerate(zip(parts, self._spans(), strict=True))
            if part.tree
        }
        """The parts with drafted tokens; those without one come first in their pass."""
        self._windows = [
            (part.cache.query_window, span, len(part.tree))
            for part, span in zip(parts, self._spans(), strict=True)
            if part.cache.query_window is not None
        ]
        self._inputs: Callable[[], Tensor] | None = None
        self.reads_inputs = hook is not None or any(one.inputs for one, _, _ in self._windows)
        """Whether anything may read the inputs of attention."""

    def show(self, layer: int, inputs: Callable[[], Tensor]) -> None:
        """Note what computes the inputs of the next layer's attention, for the hook's view."""
        self._inputs = inputs
        for window, span, drafted in self._windows:
            if window.inputs is not None:
                window.inputs.push(layer, inputs()[span], drafted)

    def _inputs_of(self, span: slice) -> Callable[[], Tensor] | None:
        inputs = self._inputs
        return None if inputs is None else lambda: inputs()[span]

    def __call__(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """q [N, H, D], k [N, K, D], v [N, K, V] of this pass's tokens to [N, H * V]."""
        self.reached = layer
        shape = self._network.shape.layers[layer]
        for window, span, drafted in self._windows:
            window.push(layer, queries[span], drafted)
        hook = self._hook
        plain = hook is None or (hook.attend is None and layer != self._unread)
        if self._single and plain:
            mixed = self._step(layer, queries, keys, values, self._caches)
            for cache, span in zip(self._caches if hook else (), self._spans(), strict=False):
                self._show(cache, self._view(cache, layer, queries[span], span))
            return mixed
        if self._trees:
            return self._verify(layer, queries, keys, values)
        self._append(layer, keys, values)
        out = [
            self._attend(part.cache, layer, shape, queries[span], span)
            for part, span in zip(self._parts, self._spans(), strict=True)
        ]
        return out[0] if len(out) == 1 else torch.cat(out)

    def _verify(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """One new token of some sequences, and a tree of each of the others.

        Sequences without a tree attend as in a pass of their own.
        """
        plain = len(self._parts) - len(self._trees)
        out = []
        if plain:
            tokens = queries[:plain], keys[:plain], values[:plain]
            out.append(self._step(layer, *tokens, self._caches[:plain]))
        for index, span in enumerate(self._spans()):
            if (rows := self._trees.get(index)) is not None:
                tokens = queries[span], keys[span], values[span]
                out.append(self._tree(layer, tokens, self._caches[index], rows))
        return out[0] if len(out) == 1 else torch.cat(out)

    def _tree(
        self,
        layer: int,
        tokens: tuple[Tensor, Tensor, Tensor],
        cache: SequenceCache,
        rows: TreeRows,
    ) -> Tensor:
        """The newest token of a sequence and its tree."""
        queries, keys, values = tokens
        shape = self._network.shape.layers[layer]
        made = kernels_for(queries, values, shape)
        if made is not None and attendable(cache, layer):
            return attend_tree_compiled(made, tokens, cache, layer, shape, rows)
        if made is not None:
            # Row by row, as plain steps do: in bf16 another order of sums may choose other tokens.
            each = zip(*(torch.split(part, 1) for part in tokens), strict=True)
            return torch.cat([self._step_of(cache, layer, *row) for row in each])
        cache.append(layer, keys, values)
        return attend_tree(queries, cache, layer, shape, rows)

    def _step(
        self,
        layer: int,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        caches: Sequence[SequenceCache],
    ) -> Tensor:
        """One new token per sequence, by the compiled kernels if they can read its entries."""
        shape = self._network.shape.layers[layer]
        made = kernels_for(queries, values, shape)
        compiled = [made is not None and attendable(cache, layer) for cache in caches]
        if made is not None and all(compiled):
            return attend_compiled(made, (queries, keys, values), caches, layer, shape)
        if made is not None and any(compiled):
            # One by one: the kernel of a sequence must not depend on the other sequences.
            parts = zip(*(torch.split(part, 1) for part in (queries, keys, values)), strict=True)
            pairs = zip(caches, parts, strict=True)
            return torch.cat([self._step_of(cache, layer, *part) for cache, part in pairs])
        for place, cache in enumerate(caches):
            cache.append(layer, keys[place : place + 1], values[place : place + 1])
        many = queries.device.type != "cpu" and fits(caches, layer, shape)
        attend = attend_jointly if many else attend_step
        return attend(queries, caches, layer, shape)

    def _step_of(
        self, cache: SequenceCache, layer: int, queries: Tensor, keys: Tensor, values: Tensor
    ) -> Tensor:
        shape = self._network.shape.layers[layer]
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
            self._meter.refund_attention(shape, dense - sparse.pairs)
            out = sparse.out
        self._show(cache, view)
        return out

    def _view(self, cache: SequenceCache, layer: int, queries: Tensor, span: slice) -> CachedLayer:
        """The layer of one sequence, as the hook sees it."""
        assert self._hook is not None
        return view_of(
            cache,
            layer,
            self._network,
            queries,
            prompt_length=self._hook.prompt_length,
            protected=self._hook.protected,
            meter=self._meter,
            show_inputs=self._inputs_of(span),
        )

    def _show(self, cache: SequenceCache, view: CachedLayer) -> None:
        """Show a layer to the hook, and drop the entries that it drops."""
        assert self._hook is not None
        tail = self._hook.hidden_tail
        kept = self._hook.tap(view.without_newest(tail) if tail else view)
        if kept is not None:
            self._meter.track_peak(self._caches)
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
        device = self._network.device
        queries = torch.tensor(self._positions[span], device=device)
        where = cache.head_positions(layer, shape.kv_heads)[kv.heads]
        same = all(torch.equal(where[0], other) for other in where[1:])
        keys = where[0] if same else torch.stack(where)
        return Visibility(shape.window, queries, keys.to(device))

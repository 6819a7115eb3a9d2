"""The view of one layer for methods: queries, entries, and attention rows on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from forethought.contracts.errors import UnsupportedModelError
from forethought.contracts.records import LayerShape
from forethought.contracts.roles import Network
from forethought.cost.flops import attention_flops, row_flops, rows_at_once
from forethought.engine.attention.compiled import contiguous_heads
from forethought.engine.cache.segment import KVSlice
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Meter
from forethought.models.compiled.available import kernels_for
from forethought.models.compiled.kernels import Kernels
from forethought.models.hardware.processor import multiplies_bf16, widened

_LANES = 16  # fewer queries leave most lanes of the compiled kernel empty
_VALUES = 128  # entries whose projected values are in memory together


@dataclass(frozen=True)
class CachedLayer:
    """One layer of one sequence after its attention (see contracts.views.LayerView)."""

    layer: int
    layers: int
    shape: LayerShape
    queries: Tensor
    keys: Tensor
    values: Tensor
    positions: Tensor
    prompt_length: int
    protected: frozenset[int]
    network: Network
    held: Tensor | None = None
    queries_beyond: int = 0
    """Queries of tokens after the prompt whose own entries the view leaves out."""
    memories: dict[int, Tensor] = field(default_factory=dict)
    """The scores that methods remember beside the entries, by layer."""
    meter: Meter | None = None
    """Charged for the attention rows that a method requests."""
    decoding: bool = False
    """Whether entries may have been evicted before."""
    show_inputs: Callable[[], Tensor] | None = None
    """Computes the inputs of the attention, for as many tokens as there were queries."""

    @property
    def memory(self) -> Tensor | None:
        """[K, E'] the remembered scores of entries that the layer held before."""
        return self.memories.get(self.layer)

    @property
    def inputs(self) -> Tensor:
        """[N, hidden] the inputs of the attention; see contracts.views.LayerView."""
        if self.show_inputs is None:
            raise UnsupportedModelError(
                "the method reads the inputs of attention, which this model does not expose",
                "use another method, or a model of a family that runs without transformers",
            )
        return self.show_inputs()[: len(self.queries)]

    def without_newest(self, count: int) -> CachedLayer:
        """The view without the newest tokens; only before an eviction of this layer."""
        return replace(
            self,
            queries=self.queries[:-count],
            keys=self.keys[:, :-count],
            values=self.values[:, :-count],
            positions=self.positions[:, :-count],
        )

    def remember(self, scores: Tensor) -> None:
        """Store scores [K, E] beside the entries."""
        self.memories[self.layer] = scores

    def rotate(self, vectors: Tensor, positions: Tensor) -> Tensor:
        """Rotate vectors [N, any, D] by `positions` [N], as RoPE does."""
        return self.network.rotate(self.layer, vectors, positions)

    def unrotated(self) -> CachedLayer:
        """The view with queries and keys as they were before RoPE; before any eviction."""
        back = -self.positions[0].to(self.keys.device)
        keys = self.rotate(self.keys.transpose(0, 1), back).transpose(0, 1)
        queries = self.rotate(self.queries, back[len(back) - len(self.queries) :])
        return replace(self, queries=queries, keys=keys)

    def charge(self, flops: float) -> None:
        """Charge FLOPs of products that a method computes itself."""
        if self.meter is not None:
            self.meter.spend(flops)

    def projected_norms(self, order: int, entries: Tensor | None = None) -> Tensor:
        """[K, G, E] norms of projected values; see contracts.views.LayerView."""
        values = self.values if entries is None else self.values[:, entries]
        kv_heads, count, _ = values.shape
        weights = self.network.output_weights(self.layer)
        heads, size, hidden = weights.shape
        self.charge(2.0 * weights.numel() * (heads * size + count))
        grouped = weights.view(kv_heads, -1, size, hidden)
        parts = [
            torch.linalg.vector_norm(part[:, None].float() @ grouped, ord=order, dim=-1)
            for part in torch.split(values, _VALUES, 1)
        ]
        return torch.cat(parts, -1)

    def window_rows(self, count: int) -> Iterator[Tensor]:
        """Attention probabilities [K, G, rows, E] of the last `count` queries, oldest first."""
        length, heads, _ = self.queries.shape
        count = min(count, length)
        size = rows_at_once(heads, self.keys.shape[1])
        for start in range(length - count, length, size):
            yield self._rows(slice(start, min(start + size, length)))

    def window_reduced(self, weights: Sequence[float], reduction: Literal["max", "sum"]) -> Tensor:
        """Rows of the newest queries, weighted and reduced; see contracts.views.LayerView."""
        newest = weights[-len(self.queries) :]
        made = kernels_for(self.queries, self.values, self.shape)
        same_for_all = self.held is None and not self.queries_beyond
        if made is not None and multiplies_bf16() and same_for_all and len(newest) >= _LANES:
            return self._compiled_rows(made, newest, reduction)
        parts, seen = [], 0
        for rows in self.window_rows(len(newest)):
            own = rows.new_tensor(newest[seen : seen + rows.shape[2]])
            weighted = rows * own[:, None]
            parts.append(weighted.amax(2) if reduction == "max" else weighted.sum(2))
            seen += len(own)
        together = torch.stack(parts)
        return together.amax(0) if reduction == "max" else together.sum(0)

    def _compiled_rows(self, made: Kernels, weights: Sequence[float], reduction: str) -> Tensor:
        entries, count = self.keys.shape[1], len(weights)
        self.charge(row_flops(self.shape, entries, count))  # as without the kernel
        queries, keys = self.queries[-count:], contiguous_heads(self.keys)
        own = torch.tensor(weights, dtype=torch.float32)
        rows = made.window_rows(queries, self.shape.scale, keys, own, reduction == "sum")
        return rows.view(len(keys), -1, entries)

    def _rows(self, block: slice) -> Tensor:
        kv_heads, rows = self.keys.shape[0], block.stop - block.start
        pairs = rows * self._seen(block)
        self.charge(attention_flops(self.shape, pairs) / 2)  # no product with the values
        packed = self.queries[block].reshape(rows, kv_heads, -1, self.keys.shape[-1])
        packed = packed.permute(1, 2, 0, 3)
        hidden = self._hidden(block).to(self.keys.device)
        # Keys after all of these queries are masked, so they need no product.
        seen = self._seen(block)
        keys = widened(self.keys[:, :seen])
        scores = _products(widened(packed.flatten(1, 2)), keys).float()
        scores = scores.mul_(self.shape.scale).view(kv_heads, -1, rows, seen)
        if self.shape.softcap is not None:
            scores.div_(self.shape.softcap).tanh_().mul_(self.shape.softcap)
        scores.masked_fill_(hidden[..., :seen], -torch.inf)
        return F.pad(torch.softmax(scores, -1), (0, self.keys.shape[1] - seen))

    def _seen(self, block: slice) -> int:
        """Entries that the last query of a block sees, in the head with most entries."""
        entries = len(self.keys[0])
        later: int = len(self.queries) - block.stop - self.queries_beyond
        return min(entries, max(1, entries - later))

    def _hidden(self, block: slice) -> Tensor:
        """[1 or K, 1, rows, E] True where a query does not see an entry."""
        kv_heads, entries, _ = self.keys.shape
        held = torch.tensor([entries]) if self.held is None else self.held.cpu()
        length = len(self.queries)
        rows = torch.arange(block.start, block.stop)
        newest = (
            held[:, None] - length + self.queries_beyond + rows
        )  # [1 or K, rows]: index of its own entry
        place = torch.arange(entries)
        hidden = place > newest[..., None]
        hidden |= place >= held[:, None, None]
        if self.shape.window is not None:
            where = self.positions.cpu().expand(kv_heads, entries)
            last = where.gather(1, held.expand(kv_heads)[:, None] - 1) + self.queries_beyond
            at = last - length + 1 + rows
            hidden = hidden | (at[..., None] - where[:, None] >= self.shape.window)
        return hidden[:, None]


def _products(queries: Tensor, keys: Tensor) -> Tensor:
    """queries [K, N, D] times keys [K, E, D]: [K, N, E]."""
    if queries.is_cuda:
        return torch.matmul(queries, keys.transpose(1, 2))
    # Of few queries, torch's batched product takes seven times as long as one product per head.
    heads = zip(queries, keys, strict=True)
    return torch.stack([torch.mm(own, held.t()) for own, held in heads])


def slices_by_head(cache: SequenceCache, layer: int, kv_heads: int) -> Iterator[KVSlice]:
    """All entries of a layer in one slice, or one slice per head if heads differ."""
    slices = list(cache.kv_slices(layer))
    if not cache.ragged(layer):
        yield _joined(slice(None), slices)
        return
    for head in range(kv_heads):
        own = slice(head, head + 1)
        yield _joined(own, [_of_head(kv, head) for kv in slices if _has(kv, head)])


def _has(kv: KVSlice, head: int) -> bool:
    return kv.heads in (slice(None), slice(head, head + 1))


def _of_head(kv: KVSlice, head: int) -> KVSlice:
    if kv.heads != slice(None):
        return kv
    own = slice(head, head + 1)
    return KVSlice(own, kv.keys[own], kv.values[own])


def _joined(heads: slice, slices: list[KVSlice]) -> KVSlice:
    if len(slices) == 1:
        return slices[0]
    keys, values = ([getattr(p, name) for p in slices] for name in ("keys", "values"))
    return KVSlice(heads, torch.cat(keys, 1), torch.cat(values, 1))


def view_of(
    cache: SequenceCache,
    layer: int,
    network: Network,
    queries: Tensor,
    *,
    prompt_length: int,
    protected: frozenset[int],
    meter: Meter,
    show_inputs: Callable[[], Tensor] | None = None,
) -> CachedLayer:
    """The view of a layer with these queries and all entries of the cache."""
    shape = network.shape.layers[layer]
    slices = list(slices_by_head(cache, layer, shape.kv_heads))
    where = cache.head_positions(layer, shape.kv_heads)
    if len(slices) == 1:
        keys, values, held = slices[0].keys, slices[0].values, None
    else:
        held = torch.tensor([kv.keys.shape[1] for kv in slices])
        keys, values = (
            pad_sequence([getattr(p, name)[0] for p in slices], batch_first=True)
            for name in ("keys", "values")
        )
    return CachedLayer(
        layer=layer,
        layers=len(network.shape.layers),
        shape=shape,
        queries=queries,
        keys=keys,
        values=values,
        positions=pad_sequence(where, batch_first=True, padding_value=-1),
        prompt_length=prompt_length,
        protected=protected,
        network=network,
        held=held,
        memories=cache.memory,
        meter=meter,
        show_inputs=show_inputs,
    )

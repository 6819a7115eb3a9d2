"""What a method sees of a layer: its queries, its keys, and attention rows on demand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from forethought.contracts.records import LayerShape
from forethought.contracts.roles import Network
from forethought.cost.flops import attention_flops
from forethought.engine.cache.sequence_cache import KVSlice, SequenceCache
from forethought.engine.meter import Meter
from forethought.models.hardware.processor import widened

_CHUNK_BYTES = 2 << 20  # probabilities materialised at once: stay in the last-level cache


@dataclass(frozen=True)
class CachedLayer:
    """One layer of one row, right after its attention (see contracts.roles.LayerView)."""

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
    beyond: int = 0
    """Queries that come after every entry: those of tokens whose entries are not shown."""
    notes: dict[int, Tensor] = field(default_factory=dict)
    """By layer, what methods remember beside a row's entries."""
    meter: Meter | None = None
    """Charged for the rows that are asked for."""
    decoding: bool = False
    """Whether entries may have been evicted before."""

    @property
    def memory(self) -> Tensor | None:
        """[K, E'] what was remembered of the entries that were held before."""
        return self.notes.get(self.layer)

    def without_newest(self, count: int) -> CachedLayer:
        """What would be seen had the newest tokens not been read; no head lacks entries yet."""
        return replace(
            self,
            queries=self.queries[:-count],
            keys=self.keys[:, :-count],
            values=self.values[:, :-count],
            positions=self.positions[:, :-count],
        )

    def remember(self, scores: Tensor) -> None:
        """Keep scores [K, E] beside the entries."""
        self.notes[self.layer] = scores

    def rotate(self, vectors: Tensor, positions: Tensor) -> Tensor:
        """Vectors [N, any, D] turned on by `positions` [N]."""
        return self.network.rotate(self.layer, vectors, positions)

    def window_rows(self, count: int) -> Iterator[Tensor]:
        """[K, G, rows, E] float32 probabilities of the last `count` queries, oldest first."""
        length, heads, _ = self.queries.shape
        count = min(count, length)
        size = max(16, _CHUNK_BYTES // (4 * heads * self.keys.shape[1]))
        for start in range(length - count, length, size):
            yield self._rows(slice(start, min(start + size, length)))

    def _rows(self, block: slice) -> Tensor:
        kv_heads, rows = self.keys.shape[0], block.stop - block.start
        if self.meter is not None:
            pairs = rows * self._seen(block)
            self.meter.flops += attention_flops(self.shape, pairs) / 2  # no values are mixed
        packed = self.queries[block].reshape(rows, kv_heads, -1, self.keys.shape[-1])
        packed = packed.permute(1, 2, 0, 3)
        hidden = self._hidden(block).to(self.keys.device)
        # Keys that are later than all of these queries need no product.
        seen = self._seen(block)
        keys = widened(self.keys[:, :seen]).transpose(1, 2)
        scores = torch.matmul(widened(packed.flatten(1, 2)), keys).float()
        scores = scores.mul_(self.shape.scale).view(kv_heads, -1, rows, seen)
        if self.shape.softcap is not None:
            scores.div_(self.shape.softcap).tanh_().mul_(self.shape.softcap)
        scores.masked_fill_(hidden[..., :seen], -torch.inf)
        return F.pad(torch.softmax(scores, -1), (0, self.keys.shape[1] - seen))

    def _seen(self, block: slice) -> int:
        """Entries that the last query of a block may see, in the head that holds most."""
        entries = len(self.keys[0])
        later: int = len(self.queries) - block.stop - self.beyond
        return min(entries, max(1, entries - later))

    def _hidden(self, block: slice) -> Tensor:
        """[1 or K, 1, rows, E] True where a query does not see an entry."""
        kv_heads, entries, _ = self.keys.shape
        held = torch.tensor([entries]) if self.held is None else self.held.cpu()
        length = len(self.queries)
        rows = torch.arange(block.start, block.stop)
        newest = held[:, None] - length + self.beyond + rows  # [1 or K, rows]: its own entry
        place = torch.arange(entries)
        hidden = place > newest[..., None]
        hidden |= place >= held[:, None, None]
        if self.shape.window is not None:
            where = self.positions.cpu().expand(kv_heads, entries)
            last = where.gather(1, held.expand(kv_heads)[:, None] - 1) + self.beyond
            at = last - length + 1 + rows
            hidden = hidden | (at[..., None] - where[:, None] >= self.shape.window)
        return hidden[:, None]


def by_heads(row: SequenceCache, layer: int, kv_heads: int) -> Iterator[KVSlice]:
    """All entries of a layer in one piece; where heads differ, in one for each head."""
    pieces = list(row.pieces(layer))
    if not row.ragged(layer):
        yield _joined(slice(None), pieces)
        return
    for head in range(kv_heads):
        own = slice(head, head + 1)
        yield _joined(own, [_of_head(piece, head) for piece in pieces if _has(piece, head)])


def _has(piece: KVSlice, head: int) -> bool:
    return piece.heads in (slice(None), slice(head, head + 1))


def _of_head(piece: KVSlice, head: int) -> KVSlice:
    if piece.heads != slice(None):
        return piece
    own = slice(head, head + 1)
    return KVSlice(own, piece.keys[own], piece.values[own])


def _joined(heads: slice, pieces: list[KVSlice]) -> KVSlice:
    if len(pieces) == 1:
        return pieces[0]
    keys, values = ([getattr(p, name) for p in pieces] for name in ("keys", "values"))
    return KVSlice(heads, torch.cat(keys, 1), torch.cat(values, 1))


def view_of(
    row: SequenceCache,
    layer: int,
    network: Network,
    queries: Tensor,
    *,
    prompt_length: int,
    protected: frozenset[int],
    meter: Meter,
) -> CachedLayer:
    """A layer of a row as methods see it: its queries, and every entry."""
    shape = network.shape.layers[layer]
    pieces = list(by_heads(row, layer, shape.kv_heads))
    where = row.head_positions(layer, shape.kv_heads)
    if len(pieces) == 1:
        keys, values, held = pieces[0].keys, pieces[0].values, None
    else:
        held = torch.tensor([piece.keys.shape[1] for piece in pieces])
        keys, values = (
            pad_sequence([getattr(p, name)[0] for p in pieces], batch_first=True)
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
        notes=row.memory,
        meter=meter,
    )

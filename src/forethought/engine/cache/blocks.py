"""The entries of one layer of a segment, in blocks of KV heads with equally many entries.

Usually one block holds all KV heads. If heads keep different numbers of entries, each head has
its own block, so the bytes of every dropped entry are freed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from forethought.contracts.roles import Entries
from forethought.engine.cache.packing import PackedTensor, pack

SLACK = 32  # minimum entries by which a full block grows; large blocks grow by a sixteenth


class Block:
    """Keys and values [K, length, D] of some KV heads, in tensors with room to grow."""

    def __init__(self) -> None:
        self.length = 0
        self._keys: Tensor | PackedTensor | None = None
        self._values: Tensor | PackedTensor | None = None
        self._kept: Tensor | None = None
        self.bytes = 0
        """Bytes of the tensors, room to grow included."""
        self._entry_bytes = 0
        """Bytes of one entry of all heads, where `move` has put them."""
        self.place = (0, 0, 0, 0)
        """Addresses of unquantised keys and values, and their strides from head to head."""
        self.plain = True
        """Whether the entries are unquantised, or there are none."""
        self._space = 0
        """Entries that the unquantised tensors have room for."""

    @property
    def keys(self) -> Tensor:
        """[K, length, D]."""
        return _unpacked(self._keys)[:, : self.length]

    @property
    def values(self) -> Tensor:
        """[K, length, D]."""
        return _unpacked(self._values)[:, : self.length]

    @property
    def kept(self) -> Tensor | None:
        """[K, M] token indices in the segment of the first M entries; None without an eviction."""
        return self._kept

    def append(self, keys: Tensor, values: Tensor, reserve: int, slack: int = SLACK) -> None:
        """Append keys and values [N, K, D]; the first allocation has room for `reserve` entries.

        A full block grows by `slack` entries or a sixteenth beyond the new ones, whichever is more.
        Without slack it grows by the new entries only.
        """
        start = self.length
        own_keys, own_values = self.extend(keys, values, reserve, slack)
        own_keys[:, start : self.length] = keys.transpose(0, 1)
        own_values[:, start : self.length] = values.transpose(0, 1)

    def extend(
        self, keys: Tensor, values: Tensor, reserve: int, slack: int = SLACK
    ) -> tuple[Tensor, Tensor]:
        """Make room for keys and values [N, K, D]; returns the tensors that the caller fills."""
        end = self.length + keys.shape[0]
        more = max(slack, end // 16) if slack else 0
        held = self._room(keys, values, end, reserve if not self.length else end + more)
        self.length = end
        return held

    def extend_one(self) -> bool:
        """Make room for one entry if the tensors have it; says whether they do."""
        there = self.length < self._space
        self.length += there
        return there

    def _room(self, keys: Tensor, values: Tensor, need: int, wanted: int) -> tuple[Tensor, Tensor]:
        """The tensors, reallocated to `wanted` entries if `need` entries do not fit."""
        held = self._keys
        assert not isinstance(held, PackedTensor), "a packed block takes no more entries"
        have = 0 if held is None else held.shape[1]
        if need > have:
            room = max(need, wanted)
            self._hold(self._grown(self._keys, keys, room), self._grown(self._values, values, room))
        assert isinstance(self._keys, Tensor)
        assert isinstance(self._values, Tensor)
        return self._keys, self._values

    def _grown(self, old: Tensor | PackedTensor | None, like: Tensor, room: int) -> Tensor:
        new = like.new_empty((like.shape[1], room, like.shape[2]))
        if isinstance(old, Tensor):
            new[:, : self.length] = old[:, : self.length]
        return new

    def move(self, keys: Tensor, values: Tensor) -> None:
        """Hold the entries in parts [K, room, D] of larger tensors, which somebody else owns.

        The block counts the bytes of its entries alone from here on.
        """
        if self.length:
            keys[:, : self.length] = self.keys
            values[:, : self.length] = self.values
        self._hold(keys, values)
        self._entry_bytes = sum(part[:, 0].numel() * part.itemsize for part in (keys, values))
        self.bytes = self.length * self._entry_bytes

    def lies_in(self, keys: Tensor) -> bool:
        """Whether the entries are still where `move` has put them."""
        return self._keys is keys

    def grow(self) -> None:
        """Count an entry that somebody else has written behind the newest."""
        self.length += 1
        self.bytes += self._entry_bytes

    def own(self) -> None:
        """Copy the entries out of tensors that somebody else owns."""
        made = self.copy() if self.length else Block()
        self._keys, self._values = made._keys, made._values
        self.bytes, self.place, self._space = made.bytes, made.place, made._space

    def subset(self, heads: slice, entries: Tensor, tokens: Tensor) -> Block:
        """A copy of some heads, with the entries [K, M] of each."""
        keys, values = (_gathered(held[heads], entries) for held in (self.keys, self.values))
        made = Block()
        made._hold(keys, values)
        made._kept, made.length = tokens, keys.shape[1]
        return made

    def copy(self) -> Block:
        """A copy of all entries."""
        made = Block()
        made._kept = self._kept
        keys, values = (held.transpose(0, 1) for held in (self.keys, self.values))
        made.append(keys, values, self.length)
        return made

    def drop_newest(self, count: int) -> None:
        """Drop the newest entries."""
        assert 0 <= count <= self.length, "only held entries can be dropped"
        self.length -= count

    def restore(self, offset: int) -> None:
        """Count the entry that lies `offset` places behind the end as the newest one."""
        assert isinstance(self._keys, Tensor), "a packed block takes no more entries"
        assert isinstance(self._values, Tensor), "a packed block takes no more entries"
        if offset:
            for held in (self._keys, self._values):
                held[:, self.length] = held[:, self.length + offset]
        self.length += 1

    def pack(self, bits: int) -> None:
        """Quantise the entries to `bits` bits a value; the block accepts no more entries."""
        if not isinstance(self._keys, PackedTensor) and self.length:
            # The scales of key channels differ widely, those of value channels do not
            # (arXiv:2402.02750).
            keys, values = pack(self.keys, bits, 1), pack(self.values, bits, 2)
            self._hold(keys, values)

    def _hold(self, keys: Tensor | PackedTensor, values: Tensor | PackedTensor) -> None:
        self._keys, self._values = keys, values
        self.bytes = sum(_bytes(part) for part in (keys, values))
        self.plain, self._space = False, 0
        if isinstance(keys, Tensor) and isinstance(values, Tensor):
            self.plain, self._space = True, keys.shape[1]
            self.place = keys.data_ptr(), values.data_ptr(), keys.stride(0), values.stride(0)


def _unpacked(held: Tensor | PackedTensor | None) -> Tensor:
    assert held is not None, "an empty block has no entries"
    return held.unpack() if isinstance(held, PackedTensor) else held


def _bytes(held: Tensor | PackedTensor) -> int:
    parts = held.tensors() if isinstance(held, PackedTensor) else (held,)
    return sum(part.untyped_storage().nbytes() for part in parts)


def _gathered(entries: Tensor, indices: Tensor) -> Tensor:
    where = indices.to(entries.device)
    return entries.gather(1, where[..., None].expand(-1, -1, entries.shape[-1]))


@dataclass(frozen=True)
class HeadBlock:
    """A block, and the KV heads of the layer that it holds."""

    heads: slice
    block: Block


class LayerEntries:
    """The entries of all KV heads of one layer."""

    def __init__(self, blocks: Iterable[Block] = ()) -> None:
        self._blocks = list(blocks) or [Block()]

    @property
    def ragged(self) -> bool:
        """Whether heads may hold different numbers of entries."""
        return len(self._blocks) > 1

    @property
    def one_plain(self) -> bool:
        """Whether all heads share one block, and its entries are unquantised."""
        return len(self._blocks) == 1 and self._blocks[0].plain

    @property
    def length(self) -> float:
        """Entries per head, averaged over heads."""
        if len(self._blocks) == 1:
            return self._blocks[0].length
        return sum(block.length for block in self._blocks) / len(self._blocks)

    @property
    def bytes(self) -> int:
        """Bytes of the tensors."""
        return sum(block.bytes for block in self._blocks)

    @property
    def keys(self) -> Tensor:
        """[K, length, D]; the layer must not be ragged."""
        return self.whole.keys

    @property
    def values(self) -> Tensor:
        """[K, length, D]; the layer must not be ragged."""
        return self.whole.values

    @property
    def whole(self) -> Block:
        """The only block of a layer that is not ragged."""
        assert not self.ragged, "heads differ"
        return self._blocks[0]

    @property
    def kept(self) -> Entries | None:
        """Token indices in the segment of each head's kept entries; None without an eviction."""
        if not self.ragged:
            return self.whole.kept
        return [head for block in self._blocks if block.kept is not None for head in block.kept]

    def parts(self) -> Iterator[HeadBlock]:
        """The blocks with their heads."""
        if not self.ragged:
            yield HeadBlock(slice(None), self._blocks[0])
            return
        for head, block in enumerate(self._blocks):
            yield HeadBlock(slice(head, head + 1), block)

    def append(self, keys: Tensor, values: Tensor, reserve: int, slack: int = SLACK) -> None:
        """Append keys and values [N, K, D] of new tokens."""
        if len(self._blocks) == 1:  # runs for every layer of every token, so it takes the short way
            return self._blocks[0].append(keys, values, reserve, slack)
        for part in self.parts():
            part.block.append(keys[:, part.heads], values[:, part.heads], reserve, slack)
        return None

    def subset(self, indices: Entries, tokens: Sequence[Tensor]) -> LayerEntries:
        """A copy of the entries at `indices` of each head; `tokens` are their token indices."""
        if len({len(one) for one in indices}) == 1 and not self.ragged:
            return LayerEntries([self.whole.subset(slice(None), _rows(indices), _rows(tokens))])
        made = []
        for head, (entries, where) in enumerate(zip(indices, tokens, strict=True)):
            block = self._blocks[head] if self.ragged else self.whole
            own = slice(None) if self.ragged else slice(head, head + 1)
            made.append(block.subset(own, entries[None], where[None]))
        return LayerEntries(made)

    def copy(self) -> LayerEntries:
        """A copy of all entries."""
        return LayerEntries(block.copy() if block.length else Block() for block in self._blocks)

    def newest(self, count: int) -> tuple[Tensor, Tensor]:
        """Keys and values [K, count, D] of each head's newest entries."""
        held = [(block.keys, block.values) for block in self._blocks]
        keys, values = (torch.cat([h[i][:, -count:] for h in held]) for i in (0, 1))
        return keys, values

    def drop_newest(self, count: int) -> None:
        """Drop the newest entries of every head."""
        for block in self._blocks:
            block.drop_newest(count)

    def restore(self, offset: int) -> None:
        """Count the entry that lies `offset` places behind each head's end as its newest one."""
        for block in self._blocks:
            block.restore(offset)

    def pack(self, bits: int) -> None:
        """Quantise all entries to `bits` bits a value."""
        for block in self._blocks:
            block.pack(bits)


def _rows(vectors: Entries) -> Tensor:
    return vectors if isinstance(vectors, Tensor) else torch.stack(list(vectors))

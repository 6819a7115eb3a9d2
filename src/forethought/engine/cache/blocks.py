"""What one layer holds of a run of tokens: blocks of heads that hold equally many entries.

Usually one block holds all key heads. Where heads keep different numbers of entries, each has
a block of its own, so that what a head drops is freed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from forethought.contracts.roles import Entries
from forethought.engine.cache.packing import Packed, packed

SLACK = 32  # least entries by which a full block grows; beyond, by a sixteenth


class Block:
    """Keys and values of some heads: [K, length, D] inside tensors with room to grow."""

    def __init__(self) -> None:
        self.length = 0
        self._keys: Tensor | Packed | None = None
        self._values: Tensor | Packed | None = None
        self._kept: Tensor | None = None
        self.bytes = 0
        """Bytes of the tensors held, room to grow included."""
        self._entry_bytes = 0
        """Bytes of one entry of all heads, where `move` has put them."""
        self.place = (0, 0, 0, 0)
        """Addresses of plain keys and values, and their strides from head to head."""

    @property
    def plain(self) -> bool:
        """Whether entries are held as they are, or there are none."""
        return not isinstance(self._keys, Packed)

    @property
    def keys(self) -> Tensor:
        """[K, length, D]."""
        return _opened(self._keys)[:, : self.length]

    @property
    def values(self) -> Tensor:
        """[K, length, D]."""
        return _opened(self._values)[:, : self.length]

    @property
    def kept(self) -> Tensor | None:
        """[K, M] places in the segment of the first M entries; None when nothing was dropped."""
        return self._kept

    def append(self, keys: Tensor, values: Tensor, reserve: int, slack: int = SLACK) -> None:
        """Add keys and values [N, K, D]; a first allocation has room for `reserve` entries.

        A full block grows by `slack` beyond what is added, or a sixteenth; without slack it
        grows by what is added alone.
        """
        start = self.length
        own_keys, own_values = self.extend(keys, values, reserve, slack)
        own_keys[:, start : self.length] = keys.transpose(0, 1)
        own_values[:, start : self.length] = values.transpose(0, 1)

    def extend(
        self, keys: Tensor, values: Tensor, reserve: int, slack: int = SLACK
    ) -> tuple[Tensor, Tensor]:
        """Count keys and values [N, K, D] as held, without writing them: the tensors to fill."""
        end = self.length + keys.shape[0]
        more = max(slack, end // 16) if slack else 0
        held = self._room(keys, values, end, reserve if not self.length else end + more)
        self.length = end
        return held

    def _room(self, keys: Tensor, values: Tensor, need: int, wanted: int) -> tuple[Tensor, Tensor]:
        """The tensors held, grown to what is wanted where `need` entries do not fit."""
        held = self._keys
        assert not isinstance(held, Packed), "a packed block takes no more entries"
        have = 0 if held is None else held.shape[1]
        if need > have:
            room = max(need, wanted)
            self._hold(self._grown(self._keys, keys, room), self._grown(self._values, values, room))
        assert isinstance(self._keys, Tensor)
        assert isinstance(self._values, Tensor)
        return self._keys, self._values

    def _grown(self, old: Tensor | Packed | None, like: Tensor, room: int) -> Tensor:
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
        made = self.copied() if self.length else Block()
        self._keys, self._values = made._keys, made._values
        self.bytes, self.place = made.bytes, made.place

    def keep(self, indices: Tensor, places: Tensor) -> None:
        """Keep entries indices [K, M] only, ascending; what was held is freed.

        `places` [K, M] are their places in the segment.
        """
        self._take(_gathered(self.keys, indices), _gathered(self.values, indices), places)

    def _take(self, keys: Tensor, values: Tensor, places: Tensor | None) -> None:
        self._hold(keys, values)
        self._kept = places
        self.length = keys.shape[1]

    def part(self, heads: slice, entries: Tensor, places: Tensor) -> Block:
        """A new block of copies: some heads, and of them the entries [K, M]."""
        made = Block()
        keys, values = self.keys[heads], self.values[heads]
        made._take(_gathered(keys, entries), _gathered(values, entries), places)
        return made

    def copied(self) -> Block:
        """A new block of copies of everything held."""
        made = Block()
        made._kept = self._kept
        keys, values = (held.transpose(0, 1) for held in (self.keys, self.values))
        made.append(keys, values, self.length)
        return made

    def drop_newest(self, count: int) -> None:
        """Forget the newest entries."""
        assert 0 <= count <= self.length, "only what is held can be forgotten"
        self.length -= count

    def pack(self, bits: int) -> None:
        """Store what is held in `bits` bits a value; the block takes no more entries then."""
        if not isinstance(self._keys, Packed) and self.length:
            # Keys have channels of very different size, values have not: arXiv:2402.02750.
            keys, values = packed(self.keys, bits, 1), packed(self.values, bits, 2)
            self._hold(keys, values)

    def _hold(self, keys: Tensor | Packed, values: Tensor | Packed) -> None:
        self._keys, self._values = keys, values
        self.bytes = sum(_bytes(part) for part in (keys, values))
        if isinstance(keys, Tensor) and isinstance(values, Tensor):
            self.place = keys.data_ptr(), values.data_ptr(), keys.stride(0), values.stride(0)


def _opened(held: Tensor | Packed | None) -> Tensor:
    assert held is not None, "an empty block has no entries"
    return held.opened() if isinstance(held, Packed) else held


def _bytes(held: Tensor | Packed) -> int:
    parts = held.tensors() if isinstance(held, Packed) else (held,)
    return sum(part.untyped_storage().nbytes() for part in parts)


def _gathered(entries: Tensor, indices: Tensor) -> Tensor:
    where = indices.to(entries.device)
    return entries.gather(1, where[..., None].expand(-1, -1, entries.shape[-1]))


@dataclass(frozen=True)
class HeadBlock:
    """A block, and which key heads of the layer it holds."""

    heads: slice
    block: Block


class LayerEntries:
    """All key heads of one layer."""

    def __init__(self, blocks: Iterable[Block] = ()) -> None:
        self._blocks = list(blocks) or [Block()]

    @property
    def ragged(self) -> bool:
        """Whether heads may hold different numbers of entries."""
        return len(self._blocks) > 1

    @property
    def length(self) -> float:
        """Entries a head holds, on average."""
        if len(self._blocks) == 1:
            return self._blocks[0].length
        return sum(block.length for block in self._blocks) / len(self._blocks)

    @property
    def bytes(self) -> int:
        """Bytes of the tensors held."""
        return sum(block.bytes for block in self._blocks)

    @property
    def keys(self) -> Tensor:
        """[K, length, D] where heads hold equally many."""
        return self.whole.keys

    @property
    def values(self) -> Tensor:
        """[K, length, D] where heads hold equally many."""
        return self.whole.values

    @property
    def whole(self) -> Block:
        """The one block of a layer whose heads hold equally many entries."""
        assert not self.ragged, "heads differ"
        return self._blocks[0]

    @property
    def kept(self) -> Entries | None:
        """For each head, places in the segment of what was kept; None when nothing was dropped."""
        if not self.ragged:
            return self.whole.kept
        return [head for block in self._blocks if block.kept is not None for head in block.kept]

    def parts(self) -> Iterator[HeadBlock]:
        """The blocks, with the heads of each."""
        if not self.ragged:
            yield HeadBlock(slice(None), self._blocks[0])
            return
        for head, block in enumerate(self._blocks):
            yield HeadBlock(slice(head, head + 1), block)

    def append(self, keys: Tensor, values: Tensor, reserve: int, slack: int = SLACK) -> None:
        """Add keys and values [N, K, D] of new tokens."""
        if len(self._blocks) == 1:  # at every layer of every token: no detour
            return self._blocks[0].append(keys, values, reserve, slack)
        for part in self.parts():
            part.block.append(keys[:, part.heads], values[:, part.heads], reserve, slack)
        return None

    def kept_part(self, indices: Entries, places: Sequence[Tensor]) -> LayerEntries:
        """A new layer of copies: for each head the entries `indices`, whose places are these."""
        if len({len(one) for one in indices}) == 1 and not self.ragged:
            return LayerEntries([self.whole.part(slice(None), _rows(indices), _rows(places))])
        made = []
        for head, (entries, where) in enumerate(zip(indices, places, strict=True)):
            block = self._blocks[head] if self.ragged else self.whole
            own = slice(None) if self.ragged else slice(head, head + 1)
            made.append(block.part(own, entries[None], where[None]))
        return LayerEntries(made)

    def copied(self) -> LayerEntries:
        """A new layer of copies of everything held."""
        return LayerEntries(block.copied() if block.length else Block() for block in self._blocks)

    def newest(self, count: int) -> tuple[Tensor, Tensor]:
        """Keys and values [K, count, D] of the newest entries of every head."""
        held = [(block.keys, block.values) for block in self._blocks]
        keys, values = (torch.cat([h[i][:, -count:] for h in held]) for i in (0, 1))
        return keys, values

    def drop_newest(self, count: int) -> None:
        """Forget the newest entries of every head."""
        for block in self._blocks:
            block.drop_newest(count)

    def pack(self, bits: int) -> None:
        """Store everything in `bits` bits a value."""
        for block in self._blocks:
            block.pack(bits)


def _rows(vectors: Entries) -> Tensor:
    return vectors if isinstance(vectors, Tensor) else torch.stack(list(vectors))

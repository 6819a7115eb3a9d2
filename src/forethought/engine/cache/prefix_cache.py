"""A prefix cache across requests: a radix tree over frozen segments, bounded in bytes.

A node holds a run of tokens and their exact entries. Nodes of different namespaces lie in different
trees. Locked nodes are in use. Evictions take from the owner with the most bytes, and there the
least recently used leaf without a lock. A split copies both halves, because a view of a half would
pin the whole buffer.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from forethought.engine.cache.segment import Segment, SegmentPart, SegmentView
from forethought.engine.cache.segment_copies import MOST_SEGMENTS, few_views, join, segment_of
from forethought.engine.cache.sequence_cache import SequenceCache

Key = NDArray[np.int64]
"""One number per token; see `prefix_key`."""
LEAST_TOKENS = 64
"""Shorter matches and leaves save less than they cost."""
_POSITION = 1 << 32
_NOTHING: Mapping[str, int] = MappingProxyType({})


def prefix_key(tokens: Sequence[int], positions: Sequence[int] = ()) -> Key:
    """The key of tokens at these position ids; consecutive from 0 if empty.

    A token at its usual position is its own key, so a gap in the positions changes only the keys
    after it.
    """
    key = np.asarray(tokens, dtype=np.int64)
    if not positions:
        return key
    return key + _POSITION * (np.asarray(positions, dtype=np.int64) - np.arange(len(key)))


@dataclass(eq=False)
class _Node:
    """A run of tokens after its parent's."""

    key: Key
    view: SegmentView
    """All its entries. One object, by which decode sees that sequences share them."""
    parent: _Node | None
    children: dict[int, _Node] = field(default_factory=dict)
    """By the first number of their keys."""
    locks: int = 0
    """Matches that use this node or a node below it."""
    used: int = 0
    """The time of its last use."""
    space: Hashable = None
    """The namespace of a root, which holds no tokens."""
    owner: str = ""
    """Whose entries they are."""

    @classmethod
    def root(cls, space: Hashable) -> _Node:
        """The root of an empty tree."""
        return cls(np.empty(0, np.int64), SegmentView(Segment(())), None, space=space)

    @property
    def segment(self) -> Segment:
        return self.view.segment

    @property
    def bytes(self) -> int:
        return self.segment.bytes()

    @property
    def free(self) -> bool:
        """Whether it may be evicted."""
        return not self.locks and not self.children and self.parent is not None

    def path(self) -> list[_Node]:
        """The nodes from below the root to this one."""
        found, node = [], self
        while node.parent is not None:
            found.append(node)
            node = node.parent
        return found[::-1]


@dataclass(eq=False)
class PrefixMatch:
    """The longest cached prefix of a prompt, locked until `PrefixCache.release`."""

    tokens: int
    """Tokens of the prefix; 0 without a match."""
    views: tuple[SegmentView, ...]
    """Their entries, oldest first."""
    _node: _Node
    _age: int
    _released: bool = False

    @property
    def next(self) -> int:
        """The position id after the prefix."""
        if not self.views:
            return 0
        last = self.views[-1]
        return last.segment.positions[-1 - last.unseen] + 1

    def cache(self, layers: int, reserve: int = 0) -> SequenceCache:
        """A cache that shares the entries and continues after them."""
        found = SequenceCache(layers, reserve)
        found.views, found.next = self.views, self.next
        return found


@dataclass
class PrefixCounters:
    """Tokens since the start, for metrics."""

    queried: int = 0
    """Tokens of all prompts that were looked up."""
    hit: int = 0
    """Tokens of them that were cached."""
    inserted: int = 0
    evicted: int = 0


class PrefixCache:
    """Radix trees of exact entries, one per namespace, within a budget of bytes.

    A namespace is everything besides token ids and positions that entries depend on or that must
    keep them apart: the network, the number of layers, the tenant.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        """Bytes of all nodes."""
        self.locked_bytes = 0
        """Bytes of the nodes in use."""
        self.counters = PrefixCounters()
        self._roots: dict[Hashable, _Node] = {}
        self._clock = count(1)
        self._age = 0
        """The number of calls of `clear`: older matches lock nothing."""

    def match(self, space: Hashable, key: Key, limit: int) -> PrefixMatch:
        """Find and lock the longest prefix of at most `limit` tokens, and count the query.

        The last token of a prompt must be computed for its logits, so the limit is below its
        length.
        """
        found = self.hold(space, key, limit)
        self.counters.queried += len(key)
        self.counters.hit += found.tokens
        return found

    def hold(self, space: Hashable, key: Key, limit: int) -> PrefixMatch:
        """As `match`, without counting."""
        node, tokens = self._walk(space, key[: max(0, limit)])
        if tokens < LEAST_TOKENS:
            return PrefixMatch(0, (), node, self._age)
        if len(node.path()) > MOST_SEGMENTS:
            self._merge(node)
        path = node.path()
        unseen = sum(len(one.key) for one in path) - tokens
        now = next(self._clock)
        for one in path:
            one.used = now
            self._lock(one)
        views = [one.view for one in path]
        if unseen:
            views[-1] = SegmentView(node.segment, unseen)
        return PrefixMatch(tokens, tuple(few_views(views)), node, self._age)

    def held(self, space: Hashable, key: Key, limit: int) -> int:
        """Tokens of the longest prefix of at most `limit` tokens; locks nothing."""
        _, tokens = self._walk(space, key[: max(0, limit)])
        return tokens if tokens >= LEAST_TOKENS else 0

    def release(self, match: PrefixMatch) -> None:
        """Unlock the nodes of a match; a second call does nothing."""
        if not match._released and match._age == self._age:
            for node in match._node.path() if match.tokens else ():
                self._unlock(node)
        match._released = True

    def insert(
        self, space: Hashable, key: Key, cache: SequenceCache, offset: int = 0, owner: str = ""
    ) -> None:
        """Store copies of the entries of `key` that are missing, for `owner`.

        `cache` holds exact entries of the tokens from `offset` on. Nothing is stored if the tree
        lacks tokens before them, if fewer than `LEAST_TOKENS` are missing or if no memory is left.
        """
        node, tokens = self._walk(space, key)
        if tokens < offset or len(key) - tokens < LEAST_TOKENS:
            return
        segment = segment_of(cache, tokens - offset, len(key) - offset)
        if not self.has_room(segment.bytes()):
            return
        inside = tokens - sum(len(one.key) for one in node.path()[:-1])
        # Split first: the lower half may be evicted to make room.
        parent = node if inside == len(node.key) else self._split(node, inside)
        path = parent.path()
        for one in path:
            self._lock(one)
        if self._make_room(self.max_bytes - segment.bytes(), {owner: segment.bytes()}):
            self._hang(parent, key[tokens:], segment, owner)
        for one in path:
            self._unlock(one)

    def allow(self, free_bytes: int) -> None:
        """Evict until nodes without locks take at most so many bytes."""
        self._make_room(self.locked_bytes + max(0, free_bytes))

    def has_room(self, size: int) -> bool:
        """Whether so many bytes fit beside the nodes in use."""
        return self.locked_bytes + size <= self.max_bytes

    def clear(self) -> None:
        """Drop everything; the caches of running sequences keep their entries."""
        self.counters.evicted += sum(len(node.key) for node in self._nodes())
        self._roots, self.bytes, self.locked_bytes = {}, 0, 0
        self._age += 1

    def check(self) -> None:
        """Assert the invariants of the trees and of the counts of bytes."""
        nodes = list(self._nodes())
        assert self.bytes == sum(node.bytes for node in nodes) <= self.max_bytes
        assert self.locked_bytes == sum(node.bytes for node in nodes if node.locks)
        for node in nodes:
            assert node.parent is not None, "a root holds no entries"
            assert node.parent.children[int(node.key[0])] is node
            assert len(node.key) == len(node.segment.positions)
            assert {len(node.key)} == set(node.segment.lengths())
            assert node.locks >= max((one.locks for one in node.children.values()), default=0)

    def _nodes(self) -> Iterator[_Node]:
        """All nodes but the roots."""
        waiting = [node for root in self._roots.values() for node in root.children.values()]
        while waiting:
            node = waiting.pop()
            waiting += node.children.values()
            yield node

    def _walk(self, space: Hashable, key: Key) -> tuple[_Node, int]:
        """The last node that holds a token of the longest cached prefix, and the prefix's length.

        The prefix may end inside this node.
        """
        node, tokens = self._roots.get(space) or _Node.root(space), 0
        while tokens < len(key) and (child := node.children.get(int(key[tokens]))) is not None:
            same = _common(child.key, key[tokens:])
            node, tokens = child, tokens + same
            if same < len(child.key):
                break
        return node, tokens

    def _hang(self, parent: _Node, key: Key, segment: Segment, owner: str) -> None:
        """Add a leaf."""
        if parent.parent is None:
            self._roots[parent.space] = parent
        view, now = SegmentView(segment), next(self._clock)
        leaf = _Node(key.copy(), view, parent, used=now, owner=owner)
        parent.children[int(key[0])] = leaf
        self.bytes += leaf.bytes
        self.counters.inserted += len(key)

    def _split(self, node: _Node, at: int) -> _Node:
        """Cut a node in two; returns the upper half. The node itself becomes the lower half."""
        assert node.parent is not None, "a root has no tokens"
        before, whole = node.bytes, node.segment
        halves = (SegmentPart(whole, 0, at), SegmentPart(whole, at, len(node.key)))
        first, second = (SegmentView(Segment.of([half])) for half in halves)
        upper = _Node(node.key[:at].copy(), first, node.parent)
        upper.locks, upper.used, upper.owner = node.locks, node.used, node.owner
        node.parent.children[int(upper.key[0])] = upper
        node.key, node.view, node.parent = node.key[at:].copy(), second, upper
        upper.children[int(node.key[0])] = node
        self._count_bytes(upper.bytes + node.bytes - before, locked=bool(node.locks))
        return upper

    def _merge(self, node: _Node) -> None:
        """Merge unlocked nodes above a node that have one child, from below, until few are left."""
        low = node
        while (upper := low.parent) is not None and len(node.path()) > MOST_SEGMENTS // 2:
            alone = upper.parent is not None and len(upper.children) == 1
            if alone and not upper.locks and not low.locks:
                self._absorb(upper, low)
            else:
                low = upper

    def _absorb(self, upper: _Node, lower: _Node) -> None:
        """Put a node's tokens in front of those of its only child; the child stays."""
        assert upper.parent is not None, "a root has no tokens"
        before = upper.bytes + lower.bytes
        lower.key = np.concatenate([upper.key, lower.key])
        lower.view = join([upper.view, lower.view])
        lower.parent = upper.parent
        upper.parent.children[int(lower.key[0])] = lower
        self._count_bytes(lower.bytes - before, locked=False)

    def _make_room(self, limit: int, coming: Mapping[str, int] = _NOTHING) -> bool:
        """Evict until all nodes take at most `limit` bytes; False if locked nodes take more.

        `coming` are the bytes that owners are about to store.
        """
        if limit < self.locked_bytes:
            return False
        if self.bytes <= limit:
            return True
        held, leaves = Counter(coming), defaultdict[str, list[tuple[int, int, _Node]]](list)
        for node in self._nodes():
            held[node.owner] += node.bytes
            if node.free:
                heapq.heappush(leaves[node.owner], (node.used, id(node), node))
        while self.bytes > limit:
            owner = max((one for one in leaves if leaves[one]), key=held.__getitem__)
            node = heapq.heappop(leaves[owner])[2]
            held[owner] -= node.bytes
            parent = self._drop(node)
            if parent.free:
                heapq.heappush(leaves[parent.owner], (parent.used, id(parent), parent))
        return True

    def _drop(self, node: _Node) -> _Node:
        """Evict a leaf; returns its parent."""
        assert node.free, "only leaves without locks are evicted"
        assert node.parent is not None, "a root is not free"
        del node.parent.children[int(node.key[0])]
        if node.parent.parent is None and not node.parent.children:
            del self._roots[node.parent.space]
        self._count_bytes(-node.bytes, locked=False)
        self.counters.evicted += len(node.key)
        return node.parent

    def _lock(self, node: _Node) -> None:
        node.locks += 1
        if node.locks == 1:
            self.locked_bytes += node.bytes

    def _unlock(self, node: _Node) -> None:
        node.locks -= 1
        if not node.locks:
            self.locked_bytes -= node.bytes

    def _count_bytes(self, change: int, *, locked: bool) -> None:
        self.bytes += change
        self.locked_bytes += change if locked else 0


def private_copy(match: PrefixMatch, layers: int, reserve: int) -> SequenceCache:
    """A cache with own copies of a match's entries in its tail, for methods that evict."""
    shared = match.cache(layers)
    cache = SequenceCache(layers, reserve)
    for view in shared.views:
        for layer, entries in enumerate(view.segment.layers):
            end = entries.whole.length - view.unseen
            keys, values = entries.keys[:, :end], entries.values[:, :end]
            cache.append(layer, keys.transpose(0, 1), values.transpose(0, 1))
        cache.place(view.segment.positions[: len(view.segment.positions) - view.unseen])
    return cache


def _common(first: Key, second: Key) -> int:
    """Length of the common prefix."""
    length = min(len(first), len(second))
    differs = np.flatnonzero(first[:length] != second[:length])
    return int(differs[0]) if len(differs) else length

"""The KV cache of each candidate of a run, for the pieces that continue it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from torch import Tensor

from forethought.contracts.backend import Place
from forethought.engine.cache.sequence_cache import CacheMark, SequenceCache

LEAST = 32
"""Minimum number of one-token candidates that a run keeps."""


@dataclass(eq=False)
class CachedCandidate:
    """The cache of a candidate: entries for all its tokens, or for all but the newest."""

    cache: SequenceCache | None
    """None for a one-token candidate whose token has no entry: its parent's cache serves."""
    logits: Tensor | None = None
    """[V] after its newest token; None if that token has no entry."""
    state: Tensor | None = None
    """The final hidden state [hidden] behind the logits."""
    newest: int = 0
    parent: CachedCandidate | None = None
    """The candidate whose cache it will continue, while it has none."""
    root: CachedCandidate | None = None
    """The prompt's candidate, without tokens; None for that candidate itself."""
    one_segment: bool = False
    """Whether prompt and answer lie in one segment, as for a plain answer."""
    encoded: int = 1
    """Tokens that were encoded for its logits: the newest one, or all behind a dropped part."""
    entries: tuple[float, ...] = ()
    """Entries per layer, its newest token's included."""
    _mark: CacheMark | None = None
    _taken: bool = False
    _shared: CacheMark | None = None
    """For the prompt: a frozen copy that all candidates but the first share."""

    @classmethod
    def at_prompt(
        cls, cache: SequenceCache, logits: Tensor, state: Tensor | None
    ) -> CachedCandidate:
        """The candidate without tokens, after the prompt."""
        one = cls(cache, one_segment=True)
        one.take_logits(logits, state)
        return one

    def take_logits(self, logits: Tensor, state: Tensor | None) -> None:
        """Store the logits [V] of its newest token, which has an entry from now on."""
        self.logits, self.state = logits, state
        self.close()

    def close(self) -> None:
        """Mark the end of the cache, which holds all its tokens from now on."""
        assert self.cache is not None, "an entry needs a cache"
        self.parent = None
        self._mark, self.entries = self.cache.mark(), self.cache.lengths()

    @property
    def closed(self) -> bool:
        """Whether the cache holds all its tokens."""
        return self._mark is not None

    @contextmanager
    def lent(self) -> Iterator[SequenceCache]:
        """The cache for tokens that are dropped afterwards, so that its children do not see them.

        A copy if a child decodes into the cache itself.
        """
        if self._taken or self.cache is None:
            yield SequenceCache.copy_at(self.start)
            return
        try:
            yield self.cache
        finally:
            self.cache.rewind(self.start)

    @property
    def taken(self) -> bool:
        """Whether a child decodes into the cache itself."""
        return self._taken

    def snapshot(self) -> SequenceCache:
        """A copy of the cache as far as it belongs to this candidate."""
        mark = self.start if self.closed else self.own_cache().mark()
        return SequenceCache.copy_at(mark)

    def own_cache(self) -> SequenceCache:
        """The cache that its newest token is decoded into."""
        if self.cache is None:
            assert self.parent is not None, "a candidate without a cache has a parent"
            self.cache = self.parent.continued(one_segment=self.one_segment)
        return self.cache

    def continued(self, *, one_segment: bool) -> SequenceCache:
        """A cache for a child that continues this candidate.

        The first child of its kind takes this cache; the others get copies. A child outside
        `one_segment` shares the prompt and holds all other entries in one tail. So its attention
        sums round alike, whatever else the run decodes.
        """
        assert self.cache is not None, "its newest token has an entry"
        assert self._mark is not None, "its newest token has an entry"
        if one_segment == self.one_segment and not self._taken:
            self._taken = True
            return self.cache
        if one_segment or not self.one_segment:
            return SequenceCache.copy_at(self._mark)
        if self.root is None:
            return SequenceCache.copy_at(self.shared)
        return SequenceCache.spliced(self._mark, self.root.start, self.root.shared)

    def copy(self) -> SequenceCache:
        """A private copy for a child that will evict entries: with the queries it chooses by."""
        assert self.cache is not None, "its newest token has an entry"
        assert not self._taken, "nothing may have been decoded into it"
        return self.cache.copy()

    @property
    def start(self) -> CacheMark:
        """The mark that its children continue from."""
        assert self._mark is not None, "its newest token has an entry"
        return self._mark

    @property
    def shared(self) -> CacheMark:
        """The end of the prompt's copy that all candidates but the first share."""
        if self._shared is None:
            copy = SequenceCache.copy_at(self.start)
            copy.freeze()
            self._shared = copy.mark()
        return self._shared


@dataclass
class CandidateCaches:
    """The cached candidates of a run.

    A token-by-token search continues its newest candidates. Older ones are dropped, and recomputed
    from their tokens if the search returns to them.
    """

    _held: dict[Place, CachedCandidate] = field(default_factory=dict)
    _single: dict[Place, None] = field(default_factory=dict)
    """One-token candidates, oldest first."""

    def get(self, place: Place) -> CachedCandidate | None:
        """The candidate at a place, if it is cached."""
        if place in self._single:
            self._single[place] = self._single.pop(place)
        return self._held.get(place)

    def alike(self, place: Place) -> tuple[Place, CachedCandidate] | None:
        """The same text with other parts dropped, if it is cached."""
        found = (one for one in self._held.items() if one[0][:-1] == place[:-1])
        return next(found, None)

    def forget(self, cache: SequenceCache) -> None:
        """Drop all candidates that share a cache, except for the prompt's."""
        for place, one in list(self._held.items()):
            lent = one.cache or (one.parent and one.parent.cache)
            if one.root is not None and lent is cache:
                del self._held[place]
                self._single.pop(place, None)

    def put(self, place: Place, one: CachedCandidate) -> None:
        """Cache a candidate."""
        self._held[place] = one
        if one.cache is None:
            self._single[place] = None

    def thin(self, asked: int) -> None:
        """Drop the oldest one-token candidates of a run that asked about `asked` at once."""
        for place in list(self._single)[: -max(LEAST, 4 * asked)]:
            del self._single[place], self._held[place]

"""Which sequences run, and whose prefill is next.

Owners, such as the users of a server, get equal shares: the owner with the fewest running sequences
is admitted first, and each owner's sequences in their order. Memory is not reserved for whole
answers, since most end early. A sequence is admitted with room for its prompt and some tokens. If
the caches near the limit, only the oldest sequence decodes until memory is free again; its own
growth is always reserved, so it always ends.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable

from forethought.engine.sequence import Prefill, Sequence
from forethought.models.hardware.sliced_task import Clock

FIRST_TOKENS = 256
"""Tokens of an answer that admission reserves memory for."""
PASSED_OVER = 8
"""Slices that shorter prefills may take before the oldest one takes a slice."""


class Admission:
    """The waiting and the running sequences of a scheduler."""

    def __init__(self, cache_bytes: int | None = None) -> None:
        self.cache_bytes = cache_bytes
        """Bytes that all caches may hold; None for no limit."""
        self.max_running: int | None = None
        """Sequences that run at once; None for no limit but memory."""
        self.waiting: list[Sequence] = []
        self.running: list[Sequence] = []
        """In the order of admission."""
        self.waits: deque[float] | None = None
        """Seconds that each admitted sequence has waited, for a reader; None records none."""
        self._passed_over = 0

    def queue(self, one: Sequence, clock: Clock) -> None:
        """Let a sequence wait."""
        if self.waits is not None:
            one.queued_at = clock()
        self.waiting.append(one)

    def everyone(self) -> Iterable[Sequence]:
        """All sequences."""
        return (*self.waiting, *self.running)

    def remove(self, gone: Collection[Sequence]) -> None:
        """Forget sequences."""
        if gone:
            self.waiting = [one for one in self.waiting if one not in gone]
            self.running = [one for one in self.running if one not in gone]

    def admit(self, clock: Clock) -> None:
        """Admit waiting sequences while their caches fit; one is always admitted."""
        shares = Counter(one.owner for one in self.running)
        while self.waiting:
            # `min` takes the first of equals, so each owner's sequences keep their order.
            one = min(self.waiting, key=lambda waiting: shares[waiting.owner])
            if self.full or (self.running and not self._fits(one)):
                return
            self.waiting.remove(one)
            self.running.append(one)
            if self.waits is not None:
                self.waits.append(clock() - one.queued_at)
            shares[one.owner] += 1

    @property
    def full(self) -> bool:
        """Whether as many sequences run as may."""
        return self.max_running is not None and len(self.running) >= self.max_running

    def next_prefill(self, *, fair: bool) -> Prefill | None:
        """The prefill that runs next: the oldest, or if `fair` the shortest in most slices."""
        found = {id(one.prefill): one.prefill for one in self.running if _waits(one)}
        pending = [one for one in found.values() if one is not None and not one.done]
        if not pending:
            return None
        # Lengths that differ by less than a factor of two count as equal, and the first one wins.
        oldest, shortest = pending[0], min(pending, key=lambda one: one.tokens.bit_length())
        self._passed_over += 1
        if not fair or shortest is oldest or self._passed_over > PASSED_OVER:
            self._passed_over = 0
            return oldest
        return shortest

    def affordable(self, live: list[Sequence]) -> list[Sequence]:
        """Those of the decoding sequences whose caches may grow: all, or only the oldest."""
        if self.cache_bytes is None:
            return live
        step = sum(one.token_bytes for one in live[1:])
        return live if self.held_bytes + step + _unused(live[0]) <= self.cache_bytes else live[:1]

    @property
    def free_bytes(self) -> int | None:
        """Bytes that the running sequences leave; None for no limit."""
        return None if self.cache_bytes is None else max(0, self.cache_bytes - self.held_bytes)

    @property
    def held_bytes(self) -> int:
        """Cache bytes of the running sequences, by their lengths."""
        return sum(one.held_bytes for one in self.running)

    def _fits(self, one: Sequence) -> bool:
        if self.cache_bytes is None:
            return True
        first = one.token_bytes * min(one.max_tokens, FIRST_TOKENS)
        needed = one.held_bytes + first + _unused(self.running[0])
        return self.held_bytes + needed <= self.cache_bytes


def _waits(one: Sequence) -> bool:
    return one.cache is None and not one.finish


def _unused(one: Sequence) -> int:
    """Bytes by which a sequence's cache may still grow."""
    return one.token_bytes * max(0, one.max_tokens - len(one.tokens))

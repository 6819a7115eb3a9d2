"""Where candidates are gone on from: what is cached of each, and how long it stays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from torch import Tensor

from forethought.contracts.backend import Opened, Request
from forethought.contracts.records import Cost
from forethought.contracts.search import NextToken, Path, Writer
from forethought.engine.batch import Batch, NewTokens
from forethought.engine.cache.again import again, moved
from forethought.engine.cache.sequence_cache import CacheMark, SequenceCache
from forethought.engine.meter import Clock, Meter
from forethought.engine.sampling import stated
from forethought.models.model import Model

Where = tuple[str, Writer, str, Path, int]
"""A run, a candidate's writer, question and path, and how many of its tokens."""
LEAST = 32
"""Seats of single tokens that stay for a run, however few it looks at."""


@dataclass
class CachedCandidate:
    """What is cached of a candidate: all its tokens, or all but the last."""

    row: SequenceCache | None
    """None where it is one token behind its parent, which was not read yet."""
    logits: Tensor | None
    """[V], after its newest token; None where that was not read yet."""
    newest: int = 0
    parent: CachedCandidate | None = None
    """Where its row comes from, while it has none."""
    root: CachedCandidate | None = None
    """That of the prompt which it stands behind; None where it is that itself."""
    alone: bool = False
    """Whether it is in one piece with its prompt, as an answer without a search is."""
    start: CacheMark | None = None
    """At a prompt: as it was before anything was written behind it."""
    _mark: CacheMark | None = None
    _entries: tuple[float, ...] = ()
    _lent: bool = False

    @classmethod
    def at(cls, row: SequenceCache, logits: Tensor, start: CacheMark | None) -> CachedCandidate:
        """The seat at a prompt that a row shares."""
        seat = cls(row, None, start=start)
        seat.hear(logits)
        return seat

    @property
    def entries(self) -> tuple[float, ...]:
        """Entries per layer, its newest token's included."""
        return self._entries

    def part(self, meter: Meter) -> NewTokens:
        """Its newest token, to be read."""
        if self.row is None:
            assert self.parent is not None, "a seat without a row has a parent"
            self.row, self.parent = self.parent._lend(self.alone), None
        return NewTokens(self.row, [self.newest], meter=meter)

    def hear(self, logits: Tensor) -> None:
        """Take in what came of reading its newest token."""
        assert self.row is not None, "it was read"
        self.logits, self._mark, self._entries = logits, self.row.mark(), self.row.lengths()

    def behind(self, tokens: int, *, alone: bool) -> SequenceCache:
        """A row for a piece of so many tokens; this one where none of them will be read."""
        assert self.row is not None
        return self.row if tokens == 1 else self.fresh(alone=alone)

    def fresh(self, *, alone: bool) -> SequenceCache:
        """A row of its own, behind what is written here.

        It shares the prompt, and holds all that was written in one tail: so sums are rounded
        alike whatever else is written, and where the writing was broken off in between.
        `alone` shares nothing that an answer without a search would not share.
        """
        assert self._mark is not None
        if alone:
            return again(self.start or self._mark)
        if not self.alone:
            return again(self._mark)
        assert self.root is not None
        assert self.root.start is not None
        assert self.root._mark is not None
        return moved(self._mark, self.root.start, self.root._mark)

    def _lend(self, alone: bool) -> SequenceCache:
        """A row for a child of one token: its own for the first that may go on in it."""
        assert self.row is not None
        if self._lent or alone != self.alone:
            return self.fresh(alone=alone)
        self._lent = True
        return self.row


@dataclass
class CandidateCaches:
    """All seats of a back end.

    Those of single tokens are many, and a search that takes its tokens one by one goes on
    from the newest: older ones are let go, and read again should somebody ask for them.
    """

    _held: dict[Where, CachedCandidate] = field(default_factory=dict)
    _single: dict[str, dict[Where, None]] = field(default_factory=dict)
    """By run, the oldest first."""

    def get(self, where: Where) -> CachedCandidate | None:
        """The seat of a candidate, where there is one."""
        single = self._single.get(where[0], {})
        if where in single:
            single[where] = single.pop(where)
        return self._held.get(where)

    def put(self, where: Where, seat: CachedCandidate) -> None:
        """Keep a seat."""
        self._held[where] = seat
        if seat.row is None:
            self._single.setdefault(where[0], {})[where] = None

    def thin(self, run: str, looked: int) -> None:
        """Let old ones of a run go that looked at so many of its candidates at once."""
        single = self._single.get(run, {})
        for where in list(single)[: -max(LEAST, 4 * looked)]:
            del single[where], self._held[where]

    def release(self, run: str) -> None:
        """Let go of all of a run."""
        self._held = {where: seat for where, seat in self._held.items() if where[0] != run}
        self._single.pop(run, None)


@dataclass(frozen=True)
class Arrived:
    """A request that has its seat, and what was charged for reading up to there."""

    request: Request
    model: Model
    """What writes behind it."""
    seat: CachedCandidate
    meter: Meter
    spent: Cost
    """In reading the prompt, where it is the first to."""
    opened: Opened | None
    """What was found in reading the prompt for it."""

    @property
    def newest(self) -> int:
        """Tokens of its parent that it pays for: the newest, where it is the first behind that."""
        return int(self.request.first and self.request.parent.tokens > 0)

    def reading(self, more: int, clock: Clock) -> Cost:
        """What it took to read up to here and so many tokens more."""
        read, own = self.newest + more, Meter(clock)
        past = tuple(entries - self.newest for entries in self.seat.entries)
        own.forward(self.model.shape, 0, [(past, read)] if read else [], read, None)
        return self.spent.plus(Cost(flops=own.flops))

    def following(self) -> tuple[NextToken, ...]:
        """The likeliest tokens that go on, and among them the likeliest that ends the answer."""
        logits, ends, top = self.seat.logits, self.model.tokenizer.ends, self.request.top
        assert logits is not None, "it was read"
        best = stated(logits, int(logits.argmax()), top + len(ends))
        on = [NextToken(token, chance) for token, chance in best.top if token not in ends]
        last = [NextToken(end, stated(logits, end).log_probability, ends=True) for end in ends]
        last.sort(key=_likeliest_first)
        return tuple(sorted([*on[:top], *last[:1]], key=_likeliest_first))


def read_newest(wanted: Iterable[Arrived], meter: Meter) -> None:
    """Read the newest tokens that were not read yet, those of a model together."""
    unread = {id(one.seat): one for one in wanted if one.seat.logits is None}
    networks = {id(one.model.network): one.model.network for one in unread.values()}
    for name, network in networks.items():
        group = [one for one in unread.values() if id(one.model.network) == name]
        parts = [one.seat.part(one.meter) for one in group]
        logits = Batch(network, meter).forward(parts, phase="decode")
        for one, row in zip(group, logits, strict=True):
            one.seat.hear(row)


def _likeliest_first(one: NextToken) -> tuple[float, int]:
    return -one.log_probability, one.token

"""A sequence of tokens that the scheduler prefills and decodes; it knows no text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor

from forethought.contracts.errors import ForethoughtError
from forethought.contracts.roles import Network
from forethought.engine.batch import LayerHook
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.decode_eviction import DecodeEviction
from forethought.engine.meter import Meter
from forethought.engine.sampling import Choice, SampledToken, SamplingParams
from forethought.models.hardware.sliced_task import Clock, SlicedTask


class SequenceStart(NamedTuple):
    """The cache that a sequence continues."""

    cache: SequenceCache
    logits: Tensor | None
    """[V] after the newest token; None while that token has no entry yet."""


class Prefill:
    """Work that fills caches, shared by all sequences that begin from them."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.done = False
        self._work = work
        self._task: SlicedTask | None = None

    def advance(self, seconds: float, clock: Clock) -> None:
        """Run for about so many seconds; an exception of the work is raised, and drops it."""
        if self._task is None:
            self._task = SlicedTask(self._work, clock)
        task = self._task
        try:
            task.advance(seconds)
            self.done = task.ended
        finally:
            if task.ended:
                self._task = None

    def cancel(self) -> None:
        """Drop the work and what it has filled so far."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()


@dataclass(eq=False)
class Sequence:
    """One sequence: its cache, tokens, sampling parameters, limits, hooks and meter.

    It waits for its prefill, decodes, and is finished once `finish` is set.
    """

    network: Network
    meter: Meter
    open: Callable[[], SequenceStart]
    """Gives the cache to continue, called once the prefill is complete."""
    prefill: Prefill | None = None
    sampling: SamplingParams = field(default_factory=SamplingParams)
    stream: int = 0
    """Separates its draws from those of other sequences with the same seed."""
    max_tokens: int = 256
    """Length at which it ends, tokens that it began with included."""
    ends: frozenset[int] = frozenset()
    """Tokens that end it; they are not part of it."""
    tokens: list[int] = field(default_factory=list)
    """The tokens behind the prompt, those that it began with included."""
    forced: list[int] = field(default_factory=list)
    """Tokens to take next instead of sampled ones."""
    full: str = "length"
    """Its finish reason at `max_tokens`."""
    keeps_end: bool = False
    """Whether the token that ends it is part of it."""
    reads_last: bool = False
    """Whether its last token gets a cache entry too, and so leaves logits behind."""
    decode_eviction: DecodeEviction | None = None
    layer_hook: LayerHook | None = None
    """Shown every layer of each of its decode steps."""
    expected_bytes: int = 0
    """Cache bytes that it may need; the scheduler admits by them."""
    cache: SequenceCache | None = None
    logits: Tensor | None = None
    """[V] for its next token, once its newest token has a cache entry."""
    unread: bool = False
    """Whether its newest token has no cache entry yet."""
    steps: int = 0
    """Decode steps so far: tokens that got a cache entry."""
    finish: str = ""
    """Empty while it runs; then stop, `full`, error, or the reason given to `end`."""
    error: ForethoughtError | None = None

    @property
    def decoding(self) -> bool:
        """Whether it takes part in the next decode pass."""
        return self.unread and (self.reads_last or not self.finish)

    @property
    def held(self) -> SequenceCache:
        """Its cache, once it has begun."""
        assert self.cache is not None, "a sequence that has begun holds a cache"
        return self.cache

    def end(self, reason: str) -> None:
        """Take no more tokens."""
        self.finish = self.finish or reason

    def fail(self, error: ForethoughtError) -> None:
        """End with an error."""
        self.error, self.finish = error, "error"

    def release(self) -> None:
        """Let go of the cache and the logits."""
        self.cache = self.logits = None
        self.unread = False

    def begin(self) -> None:
        """Open the cache; a sequence that is full already ends here."""
        self.cache, self.logits = self.open()
        self.unread = self.logits is None
        if len(self.tokens) >= self.max_tokens:
            self.end(self.full)

    def stepped(self, logits: Tensor) -> None:
        """Take the logits [V] of a decode step."""
        self.logits, self.unread = logits, False
        self.steps += 1
        if self.decode_eviction is not None:
            self.decode_eviction.after_step(self.held, self.meter)

    @property
    def chooses(self) -> bool:
        """Whether it takes a token from its logits now."""
        return self.logits is not None and not self.finish

    def choice(self) -> Choice:
        """The token that it takes next: sampled, or forced."""
        forced = self.forced[0] if self.forced else None
        return Choice(self.sampling, self.stream, len(self.tokens), forced)

    def take(self, chosen: SampledToken) -> SampledToken:
        """Take the token of `choice`; the logits are used up. Raises where it is no token."""
        self.logits = None
        chosen.checked()
        del self.forced[:1]
        ends = chosen.token in self.ends
        if ends:
            self.end("stop")
        if self.keeps_end or not ends:
            self.tokens.append(chosen.token)
            self.unread = True
        if len(self.tokens) >= self.max_tokens:
            self.end(self.full)
        return chosen

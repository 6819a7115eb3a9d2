"""A sequence that the scheduler prefills and decodes; it holds token ids and no text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from forethought.contracts.drafts import NO_DRAFT, DraftTree
from forethought.contracts.errors import ForethoughtError
from forethought.contracts.roles import Network
from forethought.engine.attention.compiled import attendable_throughout
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.decode_eviction import DecodeEviction
from forethought.engine.drafting import Drafting
from forethought.engine.meter import Meter
from forethought.engine.new_tokens import LayerHook, NewTokens
from forethought.engine.row_costs import DraftCost
from forethought.engine.sampling import Choice, SampledToken, SamplingParams
from forethought.engine.token_controls import TokenControls
from forethought.engine.verify import VerifiedDraft
from forethought.models.hardware.sliced_task import Clock, SlicedTask


class SequenceStart(NamedTuple):
    """The cache that a sequence continues."""

    cache: SequenceCache
    logits: Tensor | None
    """[V] after the newest token; None if that token has no entry yet."""
    state: Tensor | None = None
    """[hidden] that the logits were computed from; None if the network does not show it."""


class Prefill:
    """Resumable work that fills caches; several sequences may wait for one prefill."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.done = False
        self.tokens = 0
        """Prompt tokens, about; short prefills may overtake longer ones."""
        self._work = work
        self._task: SlicedTask | None = None

    def advance(self, seconds: float, clock: Clock) -> None:
        """Run for about this many seconds; re-raise an exception of the work and drop the work."""
        if self._task is None:
            self._task = SlicedTask(self._work, clock)
        task = self._task
        try:
            task.advance(seconds)
            self.done = task.ended
        finally:
            if task.ended:
                self._task = None
            if self.done:
                self._work = _complete  # it holds the prompts, which hold this prefill

    def cancel(self) -> None:
        """Drop the work and the entries that it has computed."""
        task, self._task = self._task, None
        if task is not None:
            # Its frames leave inference mode as they entered it: inside of another one.
            with torch.inference_mode():
                task.cancel()


def _complete() -> None:
    """The work that remains of a prefill that is done."""


@dataclass(eq=False)
class Sequence:
    """One sequence: its cache, tokens, sampling parameters, limits, hooks and meter.

    It waits for its prefill, then decodes; it is finished once `finish` is set.
    """

    network: Network
    meter: Meter
    open: Callable[[], SequenceStart]
    """Returns the cache to continue; called once, after the prefill."""
    prefill: Prefill | None = None
    sampling: SamplingParams = field(default_factory=SamplingParams)
    stream: int = 0
    """The random stream; sequences with the same seed differ by it."""
    max_tokens: int = 256
    """Maximum length in tokens, including those it starts with."""
    ends: frozenset[int] = frozenset()
    """End tokens; the sequence excludes them unless `keeps_end`."""
    tokens: list[int] = field(default_factory=list)
    """The tokens after the prompt, including those it starts with."""
    forced: list[int] = field(default_factory=list)
    """Next tokens that are given instead of sampled."""
    finish_at_max: str = "length"
    """The finish reason at `max_tokens`."""
    keeps_end: bool = False
    """Whether an end token becomes part of the sequence."""
    caches_last: bool = False
    """Whether the last token is decoded into the cache too, which leaves its logits."""
    controls: TokenControls | None = None
    """Masks, biases, penalties and forced tokens; they have followed the tokens it starts with."""
    decode_eviction: DecodeEviction | None = None
    layer_hook: LayerHook | None = None
    """Sees every layer of the sequence's decode steps."""
    drafting: Drafting | None = None
    """Drafts next tokens, which decode passes verify."""
    verified: VerifiedDraft | None = None
    """The logits and entries of drafted tokens, as long as the newest token is one of them."""
    prompt_bytes: int = 0
    """Cache bytes of its prompt without any approximation; the scheduler admits by them."""
    token_bytes: int = 0
    """Cache bytes of each further token."""
    owner: str = ""
    """Whose sequence it is; owners get equal shares."""
    queued_at: float = 0.0
    """The scheduler's time when it was queued, if waits are recorded."""
    cache: SequenceCache | None = None
    logits: Tensor | None = None
    """[V] for the next token; set once the newest token has an entry."""
    state: Tensor | None = None
    """The final hidden state [hidden] that the latest token was sampled from."""
    uncached: bool = False
    """Whether the newest token has no cache entry yet."""
    steps: int = 0
    """Decode steps so far: tokens that got an entry."""
    finish: str = ""
    """Empty while it runs; then stop, `finish_at_max`, error, or the reason given to `end`."""
    error: ForethoughtError | None = None

    @property
    def decoding(self) -> bool:
        """Whether it takes part in the next decode pass."""
        return self.uncached and (self.caches_last or not self.finish)

    @property
    def held(self) -> SequenceCache:
        """The cache; the sequence must have begun."""
        assert self.cache is not None, "a sequence that has begun holds a cache"
        return self.cache

    @property
    def held_bytes(self) -> int:
        """Cache bytes of the prompt and the tokens so far."""
        return self.prompt_bytes + self.token_bytes * len(self.tokens)

    def end(self, reason: str) -> None:
        """Finish; no further token is sampled."""
        self.finish = self.finish or reason

    def fail(self, error: ForethoughtError) -> None:
        """Finish with an error."""
        self.error, self.finish = error, "error"

    def release(self) -> None:
        """Free the cache and the logits."""
        self.cache = self.logits = self.state = self.verified = None
        self.uncached = False

    def begin(self) -> None:
        """Open the cache; a sequence that is already at its maximum length finishes here."""
        opens, self.open = self.open, _opened  # the cycle with its owner ends here
        self.cache, self.logits, self.state = opens()
        self.uncached = self.logits is None
        if len(self.tokens) >= self.max_tokens:
            self.end(self.finish_at_max)

    @property
    def is_verified(self) -> bool:
        """Whether the entry of the newest token is known without a pass."""
        return self.decoding and self.verified is not None and self.verified.lies_in(self.held)

    def next_tokens(self, cost: DraftCost) -> NewTokens:
        """What the next decode pass gets: the newest token, and drafted tokens behind it.

        `cost` tells what these would cost.
        """
        return NewTokens.drafted(self.held, self.tokens[-1], self._drafted(cost), self.meter)

    def _drafted(self, cost: DraftCost) -> DraftTree:
        """The tokens that the drafter proposes; none where a pass cannot verify them."""
        if self.drafting is None or self.finish or self.layer_hook:
            return NO_DRAFT
        # The pass itself leads to one more token.
        room = self.max_tokens - len(self.tokens) - 1
        if self.decode_eviction is not None:
            room = min(room, self.decode_eviction.room)
        tree = self.drafting.draft(self.tokens, room, cost)
        if not tree.is_chain and not attendable_throughout(self.held):
            tree = tree.trunk  # such a cache attends to a row at a time
        self.drafting.charge(self.held.lengths(), len(tree))
        self.meter.count("passes", 1)
        self.meter.count("verified", len(tree))
        return tree

    def take_rows(self, new: NewTokens, logits: Tensor, states: Tensor | None) -> None:
        """Store the logits [1 + N, V] of a decode pass over new tokens, and the states behind."""
        self.verified = VerifiedDraft(new.tree, logits, states, self.held) if new.tree else None
        self.take_logits(logits[0], None if states is None else states[0])

    def enter_verified(self) -> None:
        """Give the newest token the entry and the logits that the latest pass has computed."""
        assert self.verified is not None, "only a verified token is entered"
        assert self.drafting is not None, "only a drafted token is verified"
        self.meter.count("accepted", 1)
        self.drafting.refund(self.held.lengths())
        self.take_logits(*self.verified.enter(self.held))

    def take_logits(self, logits: Tensor, state: Tensor | None) -> None:
        """Store the logits [V] of a decode step and the state [hidden] behind them.

        Evicts entries if it is time.
        """
        self.logits, self.state, self.uncached = logits, state, False
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
        plain = Choice(self.sampling, self.stream, len(self.tokens), forced)
        if self.logits is None or forced is not None:
            return plain
        try:
            if (token := self._accepted(self.logits)) is not None:
                return plain._replace(forced=token, drafted=True)
            if self.controls is None:
                return plain
            return self.controls.applied(plain, self.logits)
        except ForethoughtError as error:
            self.fail(error)  # `take` raises it
            return plain

    def _accepted(self, logits: Tensor) -> int | None:
        """The drafted token that it takes in place of its own choice, if any."""
        controls = self.controls
        if self.drafting is None:
            return None
        return self.drafting.accepted(lambda: logits if controls is None else controls.law(logits))

    def take(self, chosen: SampledToken) -> SampledToken:
        """Take the token of `choice`; the logits are used up. Raises where it is no token."""
        self.logits = None
        if self.error is not None:
            raise self.error
        chosen.checked()
        del self.forced[:1]
        ends = chosen.token in self.ends
        if ends:
            self.end("stop")
        if self.keeps_end or not ends:
            self.tokens.append(chosen.token)
            self.uncached = True
            self._compare(chosen.token)
            self._follow(chosen.token)
        if len(self.tokens) >= self.max_tokens:
            self.end(self.finish_at_max)
        return chosen

    def _compare(self, token: int) -> None:
        """Compare a token with the drafted ones."""
        goes_on = self.drafting is None or self.drafting.goes_on(token)
        if self.verified is not None and not (self.verified.follow(token) and goes_on):
            self.verified = None

    def _follow(self, token: int) -> None:
        """Let the controls follow a token; the sequence ends where nothing may come after it."""
        if self.controls is not None:
            self.controls.accept(token)
            if self.controls.complete:
                self.end("stop")


def _opened() -> SequenceStart:
    raise AssertionError("a sequence begins once")

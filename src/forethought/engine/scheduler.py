"""Runs any number of sequences: one decode pass for all, and slices of a prefill between passes.

A sequence waits until its cache fits, prefills, decodes and finishes. Results do not depend on the
other sequences: each one has its own random stream, and the logits of a row depend on that row
alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from forethought.contracts.errors import ForethoughtError
from forethought.contracts.roles import Network
from forethought.engine.admission import Admission
from forethought.engine.batch import Batch
from forethought.engine.final_states import FinalStates
from forethought.engine.meter import Clock
from forethought.engine.new_tokens import NewTokens
from forethought.engine.row_costs import DraftCost, RowCosts
from forethought.engine.sampling import SampledToken, choose_all
from forethought.engine.sequence import Prefill, Sequence
from forethought.engine.static_step import static_steps
from forethought.models.hardware.sliced_task import pause

Result = TypeVar("Result")
IDLE_SLICE = 0.1
"""Seconds of prefill per step while no sequence decodes; a caller may cancel between steps."""
SHORT, SHORT_SLICES = 512, 2
"""Tokens of a short prompt, and slices that it gets at once: it soon decodes with the others, and
more sequences then share each pass over the weights."""


class TokenEvent(NamedTuple):
    """A sequence took a token, or finished without one."""

    sequence: Sequence
    sampled: SampledToken | None
    logits: Tensor | None
    """[V] that the token was sampled from."""


class Scheduler:
    """Advances sequences of any networks step by step."""

    def __init__(
        self,
        clock: Clock = time.perf_counter,
        *,
        prefill_seconds: float | None = None,
        cache_bytes: int | None = None,
    ) -> None:
        """`prefill_seconds` limits the prefill between two decode passes; short prompts get twice.

        None prefills every waiting prompt first, for the highest throughput. 0 runs one block of
        tokens between two passes. With a bound, short prefills overtake longer ones.
        `cache_bytes` limits the caches of all sequences; see `Admission`.
        """
        self.clock = clock
        self.prefill_seconds = prefill_seconds
        self.admission = Admission(cache_bytes)
        self.decoded: Collection[Sequence] = ()
        """The sequences that the last step decoded."""
        self.decode_seconds = 0.0
        """Seconds in which it decoded them."""
        self.pass_seconds = 0.0
        """The same of the latest step that had decode passes."""
        self._costs: WeakKeyDictionary[Network, RowCosts] = WeakKeyDictionary()

    @property
    def idle(self) -> bool:
        """Whether no sequence waits or runs."""
        return not self.admission.waiting and not self.admission.running

    def add(self, sequence: Sequence) -> None:
        """Queue a sequence; it is admitted once its cache fits."""
        self.admission.queue(sequence, self.clock)

    def cancel(self, sequence: Sequence) -> None:
        """End a sequence and free its cache; drop its prefill if no other sequence waits for it."""
        sequence.end("cancelled")
        sequence.release()
        self.admission.remove([sequence])
        prefill = sequence.prefill
        if prefill is not None and not any(
            one.prefill is prefill for one in self.admission.everyone()
        ):
            prefill.cancel()

    @torch.inference_mode()
    def step(self) -> list[TokenEvent]:
        """Run one decode pass over all decoding sequences and at most one slice of a prefill."""
        self.admission.admit(self.clock)
        live = [one for one in self.admission.running if one.decoding]
        if verified := [one for one in live if one.is_verified]:
            return self._take_verified(verified)
        events = self._begin()
        prefill = self.admission.next_prefill(fair=self.prefill_seconds is not None)
        self.decoded, self.decode_seconds = (), 0.0
        if live and (prefill is None or self.prefill_seconds is not None):
            events += self._decode(self.admission.affordable(live))
        if prefill is not None:
            events += self._advance(prefill)
            events += self._begin()
        self._remove_finished()
        return events

    def _take_verified(self, verified: list[Sequence]) -> list[TokenEvent]:
        """Let sequences take a token behind one that the last pass has verified; nobody decodes."""
        start = self.clock()
        for one in verified:
            one.enter_verified()
        events = self._choose(verified)
        self.decoded, self.decode_seconds = verified, self.clock() - start
        self._remove_finished()
        return events

    def _remove_finished(self) -> None:
        gone = [one for one in self.admission.running if one.finish and not one.decoding]
        for one in gone:
            one.verified = None  # it holds logits
        self.admission.remove(gone)

    def _advance(self, prefill: Prefill) -> list[TokenEvent]:
        """Run a slice of a prefill; if it fails, the sequences that wait for it fail too."""
        bound, busy = self.prefill_seconds, any(one.decoding for one in self.admission.running)
        slices = SHORT_SLICES if prefill.tokens <= SHORT else 1
        seconds = slices * bound if busy and bound is not None else IDLE_SLICE
        try:
            prefill.advance(seconds, self.clock)
        except ForethoughtError as error:
            failed = [one for one in self.admission.everyone() if one.prefill is prefill]
            for one in failed:
                one.fail(error)
            self.admission.remove(failed)
            return [TokenEvent(one, None, None) for one in failed]
        return []

    def _begin(self) -> list[TokenEvent]:
        """Open the caches of sequences whose prefill is complete, and sample their first tokens."""
        ready = [
            one
            for one in self.admission.running
            if one.cache is None and not one.finish and (one.prefill is None or one.prefill.done)
        ]
        for one in ready:
            _guarded(one, one.begin)
        return self._choose(ready)

    def _decode(self, live: list[Sequence]) -> list[TokenEvent]:
        """Run one decode pass per network, then let each sequence take a token."""
        start = self.clock()
        for group in _passes(live):
            first, shown = group[0], FinalStates()
            costs = self._costs.setdefault(first.network, RowCosts())
            given = _new_tokens(group, DraftCost(costs, len(group), self.clock))
            began = self.clock()
            batch = Batch(first.network, first.meter, static_steps(first.network), shown)
            new = [tokens for _, tokens in given]
            logits = batch.forward(new, phase="decode", hook=first.layer_hook)
            costs.learn(len(logits), self.clock() - began)
            _take_rows(given, logits, shown.rows)
        events = self._choose(live)
        self.decoded, self.decode_seconds = live, self.clock() - start
        self.pass_seconds = self.decode_seconds
        return events

    def _choose(self, ready: Collection[Sequence]) -> list[TokenEvent]:
        """Take the next token of each sequence that has logits."""
        events = []
        given = [(one, one.logits) for one in ready if one.chooses and one.logits is not None]
        drawn = choose_all([logits for _, logits in given], [one.choice() for one, _ in given])
        chosen = {id(one): found for (one, _), found in zip(given, drawn, strict=True)}
        for one in ready:
            logits, sampled = one.logits, None
            if (found := chosen.get(id(one))) is not None:
                sampled = _guarded(one, partial(one.take, found))
            if sampled is not None or (one.finish and not one.decoding):
                events.append(TokenEvent(one, sampled, logits))
        return events


def decode(sequence: Sequence) -> None:
    """Decode one sequence to its end, alone; a sliced task may pause between steps."""
    scheduler = Scheduler()
    scheduler.add(sequence)
    while not scheduler.idle:
        scheduler.step()
        pause()


def _new_tokens(group: Iterable[Sequence], cost: DraftCost) -> list[tuple[Sequence, NewTokens]]:
    """What a pass gets from each sequence: attention takes those without a draft first."""
    given = [(one, one.next_tokens(cost)) for one in group]
    return sorted(given, key=lambda pair: len(pair[1].tree) > 0)


def _take_rows(
    given: Collection[tuple[Sequence, NewTokens]], logits: Tensor, states: Tensor | None
) -> None:
    """Give each sequence the rows of its tokens."""
    sizes = [len(new.tokens) for _, new in given]
    shown = [None] * len(given) if states is None else torch.split(states, sizes)
    for (one, new), rows, state in zip(given, torch.split(logits, sizes), shown, strict=True):
        one.take_rows(new, rows, state)


def _passes(live: Iterable[Sequence]) -> list[list[Sequence]]:
    """The sequences of each pass: one network per pass; a sequence with a layer hook runs alone."""
    groups: dict[tuple[int, int], list[Sequence]] = {}
    for one in live:
        alone = id(one) if one.layer_hook is not None else 0
        groups.setdefault((id(one.network), alone), []).append(one)
    return list(groups.values())


def _guarded(sequence: Sequence, act: Callable[[], Result]) -> Result | None:
    """The result of an act of one sequence; an error fails that sequence alone."""
    try:
        return act()
    except ForethoughtError as error:
        sequence.fail(error)
        return None

"""One question on its way through a recipe, event by event."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field

from forethought.contracts.records import Event, Kept, Prompt, Run
from forethought.engine.batch import Batch
from forethought.engine.cache.again import again
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.decode import Emitted, Stream, write
from forethought.engine.meter import Clock, Meter
from forethought.models.model import Model
from forethought.prefill.byte_budgets import sized
from forethought.prefill.context_room import check_context, check_turn, room_behind, short_room
from forethought.prefill.draft_model import ModelDraft
from forethought.prefill.prefill import (
    Methods,
    PrefillPlan,
    plan,
    read,
    reading_flops,
    shortened,
)
from forethought.recipes.recipe import Limit, Recipe, spend_limit
from forethought.recipes.sampling import sampling_of
from forethought.sessions.record import Spoken
from forethought.sessions.voice import Voice


@dataclass
class Asking:
    """What is written so far, what was dropped, and what it cost."""

    recipe: Recipe
    methods: Methods
    target: Model
    draft_model: Model
    prompt: Prompt
    identifier: str
    load_seconds: float
    clock: Clock
    remarks: tuple[str, ...] = ()
    """What is to be said before anything else."""
    past: SequenceCache | None = None
    """What was read before of the prompt, if anything."""
    read_prompt: Prompt | None = None
    """What was left of the prompt, once it was read."""
    finish: str = ""
    notes: list[str] = field(default_factory=list)
    voices: list[Voice] = field(default_factory=list)
    kept: Kept | None = None
    first_token: float = 0.0

    def __post_init__(self) -> None:
        self.meter = Meter(self.clock)
        first = self.past is None
        self.draft = ModelDraft(self.draft_model, self.target, self.meter, shortens=first)
        self.limit: Limit = spend_limit(self.recipe.budget)
        self.start = self.clock()
        self.cached = self.past.next if self.past else 0

    def events(self) -> Iterator[Event]:
        """Everything that happens; the run itself comes last, also after an interruption."""
        try:
            yield from self._steps()
        except KeyboardInterrupt:
            self.finish = "interrupted"
        for candidate, voice in enumerate(self.voices):
            if rest := voice.rest():
                yield Event("token", {"text": rest, "candidate": candidate})
        yield Event("done", {"run": self._run().document()})

    def _steps(self) -> Iterator[Event]:
        chosen = plan(sized(self.methods, self.target), self.prompt, self.draft)
        drafting = any(method.uses_draft() for method in chosen.applied)
        yield from map(self._note, (*self.remarks, *chosen.notes))
        if self.recipe.draft != "self" and not any(m.uses_draft() for _, m in self.methods):
            yield self._note(f"the draft {self.recipe.draft} is not used: no method asks for one")
        needed = reading_flops(chosen.applied, len(self.prompt), self.draft)
        if self.limit.flops is not None and needed > self.limit.flops:
            self.finish = "budget"
            size = f"{needed / 1e9:,.3g} GFLOP"
            yield self._note(f"reading the prompt takes {size}, more than the budget")
            return
        shortening = any(m.reads(len(self.prompt)) < len(self.prompt) for m in chosen.applied)
        with self.meter.stage("draft") if drafting or shortening else nullcontext():
            most = min([self.recipe.max_tokens, *self._token_share()])
            short = shortened(chosen, self.prompt, self.draft, most)
        self.target = self.target.for_length(short.end + len(short.lookahead or ()) + most)
        if self.past is None:
            check_context(short, self.target, self.draft)
        else:
            check_turn(short, self.target, self.past.next)
        if drafting:
            yield self._stage("draft")
        if self._spent():
            self.finish = "budget"
            return
        with self.meter.stage("prefill"):
            batch = Batch(self.target.network, self.meter)
            of = len(self.prompt)
            reading = read(batch, self.target, short, chosen, of, self.past)
        self.kept, self.read_prompt = reading.kept, short
        yield self._stage("prefill")
        room = room_behind(short, self.target)
        yield from map(self._note, short_room(room, most))
        self._open_voices(reading.row, room, chosen, short)
        logits = reading.logits.expand(len(self.voices), -1)
        with self.meter.stage("decode"):
            yield from self._speak(write(batch, [v.stream for v in self.voices], logits))
        yield self._stage("decode")

    def _note(self, text: str) -> Event:
        self.notes.append(text)
        return Event("note", {"text": text})

    def _stage(self, name: str) -> Event:
        return Event("stage", {"name": name, "seconds": self.meter.stages.get(name, 0.0)})

    def _open_voices(
        self, row: SequenceCache, room: int, plan: PrefillPlan, prompt: Prompt
    ) -> None:
        recipe, share = self.recipe, self._token_share()
        limit = min([recipe.max_tokens, room, *share])
        full = "budget" if share and share[0] <= min(recipe.max_tokens, room) else "length"
        private = plan.evicting is not None and bool(plan.evicting.evicts_every())
        rows = _rows(row, recipe.samples, private=private)
        for candidate, own in enumerate(rows):
            review = plan.review(self.target.network, prompt)
            ends = self.target.tokenizer.ends
            stream = Stream(
                own, sampling_of(recipe), candidate, limit, ends, full=full, review=review
            )
            self.voices.append(Voice(stream, self.target.tokenizer, recipe))

    def _token_share(self) -> list[int]:
        """Each candidate's share of a token budget, if there is one."""
        if self.limit.tokens is None:
            return []
        return [self.limit.tokens // self.recipe.samples]

    def _speak(self, written: Iterable[Emitted]) -> Iterator[Event]:
        voices = {id(voice.stream): voice for voice in self.voices}
        for emitted in written:
            self.first_token = self.first_token or self.clock() - self.start
            yield voices[id(emitted.stream)].say(emitted.choice)
            if self._spent():
                for voice in self.voices:
                    voice.stream.end("budget")

    def _spent(self) -> bool:
        """Whether the budget leaves nothing for another token."""
        seconds, flops = self.limit.seconds, self.limit.flops
        return (seconds is not None and self.clock() - self.start >= seconds) or (
            flops is not None and self.meter.flops >= flops
        )

    def _finish(self) -> str:
        if self.finish or not self.voices:
            return self.finish or "interrupted"
        ends = [voice.stream.finish for voice in self.voices]
        return "budget" if "budget" in ends else ends[0]

    def _run(self) -> Run:
        return Spoken(
            recipe=self.recipe,
            identifier=self.identifier,
            target=self.target,
            length=len(self.prompt),
            meter=self.meter,
            seconds=self.clock() - self.start,
            load_seconds=self.load_seconds,
            first_token=self.first_token,
            voices=self.voices,
            kept=self.kept,
            finish=self._finish(),
            notes=self.notes,
            cached=self.cached,
        ).run()


def _rows(row: SequenceCache, count: int, *, private: bool) -> list[SequenceCache]:
    """Rows behind one prompt, each with a cache of its own where that is asked for.

    The first has one in any case: it is the row that one answer alone would have, so that it
    writes the same to the last bit. The others share the prompt.
    """
    if count == 1:
        return [row]
    if private:
        return [row, *(row.copied() for _ in range(count - 1))]
    first = again(row.mark())
    return [first, *(row.fork() for _ in range(count - 1))]

"""Many recipes and questions at once: prompts read once for all who share them, answers together.

An answer does not depend on what it shares a prompt or a step with: each recipe gets the
tokens, and is charged the cost, that it has alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import torch

from forethought import catalogue
from forethought.backends.openai.token_estimate import by_rule
from forethought.contracts.errors import ForethoughtError, UnfitError
from forethought.contracts.questions import Measure
from forethought.contracts.records import Prompt, Run
from forethought.engine.batch import Batch
from forethought.engine.decode import Stream, write
from forethought.engine.meter import Clock, Meter
from forethought.models.chat.prompt import chat_prompt
from forethought.models.load import load
from forethought.models.model import Model
from forethought.prefill.byte_budgets import sized
from forethought.prefill.context_room import check_context, room_behind, short_room
from forethought.prefill.draft_model import Memory, ModelDraft
from forethought.prefill.prefill import PrefillPlan, PrefillResult, plan, shortened
from forethought.prefill.shared_prefix import Branch, read_together, shared_key
from forethought.recipes.identity import run_identifier
from forethought.recipes.recipe import Recipe, is_remote
from forethought.recipes.sampling import sampling_of
from forethought.recipes.validation import check_together
from forethought.sessions.asks import BatchAnswer, BatchQuestion, Refuse
from forethought.sessions.record import Spoken
from forethought.sessions.remote_batch import Servers
from forethought.sessions.search_batch import alike, searched
from forethought.sessions.voice import Voice
from forethought.storage.replay_log import NoReplayLog, ReplayLog

__all__ = ["Answers", "BatchAnswer", "BatchQuestion"]

Loader = Callable[[str, str], Model]
"""(name, weights) to a model."""
AT_ONCE_ON_CPU = 8
"""Answers: more gain little on two cores."""
AT_ONCE_ELSEWHERE = 64
"""Answers on a GPU or a server, which have work for all of them."""


class Answers:
    """Models, each loaded once when first needed, and what is asked of them."""

    def __init__(
        self,
        loader: Loader | None = None,
        clock: Clock = time.perf_counter,
        servers: Servers | None = None,
    ) -> None:
        self._loader = loader or (lambda name, weights: load(name, weights=weights))
        self._models: dict[tuple[str, str], Model] = {}
        self._clock = clock
        self._servers = servers or Servers(clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def close(self) -> None:
        """End all connections to servers."""
        self._servers.close()

    def settled(self, recipe: Recipe) -> Recipe:
        """The recipe under the name that its answers are kept by, if it can be asked at all.

        Raises UsageError where it cannot, or a server cannot, before anything is loaded or asked.
        """
        check_together(recipe)
        return self._servers.settled(recipe) if is_remote(recipe.model) else recipe

    def model(self, name: str, weights: str) -> Model:
        """A model by its name."""
        if (name, weights) not in self._models:
            self._models[name, weights] = self._loader(name, weights)
        return self._models[name, weights]

    def measure(self, recipe: Recipe) -> Measure:
        """How many tokens texts have for a recipe's model; by rule where it is on a server."""
        if is_remote(recipe.model):
            return by_rule
        encode = self.model(recipe.model, recipe.weights).tokenizer.encode
        return lambda text: len(encode(text))

    def at_once(self, recipe: Recipe) -> int:
        """How many answers of a recipe it pays to ask for at once."""
        if is_remote(recipe.model):
            return AT_ONCE_ELSEWHERE
        device = self.model(recipe.model, recipe.weights).network.device
        return AT_ONCE_ON_CPU if device.type == "cpu" else AT_ONCE_ELSEWHERE

    def answer(
        self,
        asks: Sequence[BatchQuestion],
        refuse: Refuse | None = None,
        journal: ReplayLog | None = None,
    ) -> Iterator[BatchAnswer]:
        """Answer everything, each as soon as it is whole.

        Where a prompt does not fit a recipe's budget or context, `refuse` is told, and the
        others are answered; without it the first such error is raised before any answer. What
        searches ask for is kept in `journal`.
        """
        for ask in asks:
            check_together(ask.recipe)
        here = {place: ask for place, ask in enumerate(asks) if not is_remote(ask.recipe.model)}
        there = {place: ask for place, ask in enumerate(asks) if place not in here}
        plain = {place: ask for place, ask in here.items() if not ask.recipe.search}
        yield from self._plain(plain, refuse)
        searching = [place for place, ask in here.items() if ask.recipe.search]
        for recipe in dict.fromkeys(alike(asks[place].recipe) for place in searching):
            some = {
                place: asks[place] for place in searching if alike(asks[place].recipe) == recipe
            }
            target, draft = self._models_of(recipe)
            judges = self._servers.judges()
            yield from searched(
                some, target, draft, self._clock, journal or NoReplayLog(), judges, refuse
            )
        if there:
            yield from self._servers.answered(there, journal or NoReplayLog(), refuse)

    def _models_of(self, recipe: Recipe) -> tuple[Model, Model]:
        target = self.model(recipe.model, recipe.weights)
        own = recipe.draft == "self"
        return target, target if own else self.model(recipe.draft, recipe.weights)

    def _plain(
        self, asks: Mapping[int, BatchQuestion], refuse: Refuse | None
    ) -> Iterator[BatchAnswer]:
        memory: Memory = {}
        pending = []
        for place, ask in asks.items():
            try:
                pending.append(self._pending(place, ask, memory))
            except UnfitError as error:
                if refuse is None:
                    raise
                refuse(place, error)
        for group in _grouped(pending, lambda one: (id(one.target), *one.shared_key)):
            branches = [one.branch for one in group]
            readings = read_together(group[0].target, branches, self._clock)
            for one, reading in zip(group, readings, strict=True):
                one.open(reading)
        for group in _grouped(pending, lambda one: (id(one.target.network),)):
            yield from _written(group, self._clock)

    def _pending(self, place: int, ask: BatchQuestion, memory: Memory) -> _Pending:
        recipe = ask.recipe
        target, draft = self._models_of(recipe)
        template = target.template
        prompt = chat_prompt(target.tokenizer, template, ask.question, ask.document)
        waiting = _Pending(place, ask, target, prompt, Meter(self._clock))
        with ForethoughtError.named(recipe.spelling):
            waiting.prepare(ModelDraft(draft, target, waiting.meter, memory))
        return waiting


@dataclass
class _Pending:
    """An answer on its way."""

    place: int
    ask: BatchQuestion
    target: Model
    prompt: Prompt
    meter: Meter
    plan: PrefillPlan = field(default_factory=lambda: PrefillPlan(()))
    short: Prompt | None = None
    reading: PrefillResult | None = None
    voice: Voice | None = None
    first_token: float = 0.0

    @property
    def most(self) -> int:
        """Most tokens of the answer."""
        recipe = self.ask.recipe
        allowed = recipe.limit.tokens
        return recipe.max_tokens if allowed is None else min(recipe.max_tokens, allowed)

    def prepare(self, draft: ModelDraft) -> None:
        """Plan, and let drafts read ahead."""
        methods = [(name, catalogue.build(name)) for name in self.ask.recipe.approximate]
        self.plan = plan(sized(methods, self.target), self.prompt, draft)
        with self.meter.stage("draft"):
            self.short = shortened(self.plan, self.prompt, draft, self.most)
        self.target = self.target.for_length(
            self.short.end + len(self.short.lookahead or ()) + self.most
        )
        check_context(self.short, self.target, draft)

    @cached_property
    def branch(self) -> Branch:
        """Its share of a prompt that others may read too."""
        assert self.short is not None, "prepared first"
        return Branch(self.plan, self.short, len(self.prompt), self.meter)

    @property
    def shared_key(self) -> tuple[object, ...]:
        """Equal for those whose prompts can be read together."""
        return shared_key(self.plan, self.branch.prompt)

    def open(self, reading: PrefillResult) -> None:
        """Make ready to write."""
        recipe, tokenizer, short = self.ask.recipe, self.target.tokenizer, self.branch.prompt
        self.reading = reading
        self.first_token = sum(self.meter.stages.values())
        room = room_behind(short, self.target)
        spent = recipe.limit.tokens == self.most <= room
        stream = Stream(
            reading.row,
            sampling_of(recipe),
            limit=min(self.most, room),
            ends=tokenizer.ends,
            full="budget" if spent else "length",
            meter=self.meter,
            review=self.plan.review(self.target.network, short),
        )
        self.voice = Voice(stream, tokenizer, recipe)

    def run(self, seconds: float) -> Run:
        """The record, once written; `seconds` the writing took."""
        assert self.voice is not None
        assert self.reading is not None
        self.voice.rest()
        self.meter.stages["decode"] = seconds
        recipe, ask = self.ask.recipe, self.ask
        room = room_behind(self.branch.prompt, self.target)
        return Spoken(
            recipe=recipe,
            identifier=run_identifier(recipe, ask.question, ask.document),
            target=self.target,
            length=len(self.prompt),
            meter=self.meter,
            seconds=sum(self.meter.stages.values()),
            load_seconds=0.0,
            first_token=self.first_token,
            voices=[self.voice],
            kept=self.reading.kept,
            finish=self.voice.stream.finish,
            notes=(*self.plan.notes, *short_room(room, self.most)),
        ).run()


def _grouped(
    pending: Sequence[_Pending], key: Callable[[_Pending], tuple[object, ...]]
) -> list[list[_Pending]]:
    groups: dict[tuple[object, ...], list[_Pending]] = {}
    for one in pending:
        groups.setdefault(key(one), []).append(one)
    return list(groups.values())


def _written(group: Sequence[_Pending], clock: Clock) -> Iterator[BatchAnswer]:
    """Write all answers of one network together, each given out as soon as it is whole."""
    start = clock()
    voices = {id(one.voice.stream): one for one in group if one.voice}
    streams = [one.voice.stream for one in group if one.voice]
    logits = torch.stack([one.reading.logits for one in group if one.reading])
    waiting = list(group)
    batch = Batch(group[0].target.network, Meter(clock))
    for emitted in write(batch, streams, logits):
        one = voices[id(emitted.stream)]
        assert one.voice is not None
        one.voice.say(emitted.choice)
        done = [w for w in waiting if w.voice and w.voice.stream.finish]
        for one in done:
            waiting.remove(one)
            yield BatchAnswer(one.place, one.run(clock() - start))
    for one in waiting:
        yield BatchAnswer(one.place, one.run(clock() - start))

"""A recipe with its loaded models, for any number of questions."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from forethought import catalogue
from forethought.backends.local.local import LocalBackend
from forethought.backends.local.local_run import LocalRun
from forethought.contracts.choices import AutoChoice
from forethought.contracts.errors import StoreError
from forethought.contracts.questions import Question
from forethought.contracts.records import Event, Prompt, Run
from forethought.cost.prices import Price
from forethought.driver.judges import Judges
from forethought.engine.meter import Clock
from forethought.models.chat.prompt import chat_prompt
from forethought.models.load import load
from forethought.models.model import Model
from forethought.prefill.plan import Methods
from forethought.recipes.identity import run_identifier
from forethought.recipes.recipe import Recipe
from forethought.recipes.validation import check_money, check_search
from forethought.sessions.auto import choose, settled_recipe
from forethought.sessions.auto_weights import calibrated_choice, sequences, with_weights
from forethought.sessions.measurements import chosen_weights, measurements
from forethought.sessions.question_run import QuestionRun, job_of
from forethought.sessions.run_record import RunRecorder
from forethought.sessions.stored_evidence import run_timing
from forethought.sessions.this_machine import this_machine
from forethought.storage.timings import keep_timing

Progress = Callable[[str, int, int], None]


class Settled(NamedTuple):
    """The recipe of one question, and the choices behind it."""

    recipe: Recipe
    choices: tuple[AutoChoice, ...]


@dataclass(frozen=True)
class Session:
    """A recipe and its models."""

    recipe: Recipe
    methods: Methods
    target: Model
    draft: Model
    load_seconds: float = 0.0
    clock: Clock = time.perf_counter
    prices: Mapping[str, Price] = field(default_factory=dict)
    """Prices of servers that judge the answers."""
    choices: tuple[AutoChoice, ...] = ()
    """Choices that were made before the models were loaded."""
    timings: Path | None = None
    """The file that keeps the times of finished runs; None keeps none."""

    @classmethod
    def open(
        cls,
        recipe: Recipe,
        progress: Progress | None = None,
        clock: Clock = time.perf_counter,
        prices: Mapping[str, Price] | None = None,
        timings: Path | None = None,
    ) -> Session:
        """Load the models that the recipe names."""
        start = clock()
        check_money(recipe)
        choices = chosen_weights(recipe)
        for one in choices:
            recipe = with_weights(recipe, one)
        methods = built_methods(recipe)
        check_search(recipe)
        rows = sequences(recipe)
        target = load(recipe.model, weights=recipe.weights, rows=rows, progress=progress)
        calibrated = calibrated_choice(target.network, rows)
        drafting = recipe.automatic or recipe.drafts_answers
        drafting = drafting or any(method.uses_draft() for _, method in methods)
        other = recipe.draft != "self" and drafting
        draft = load(recipe.draft, weights=recipe.weights, progress=progress) if other else target
        choices += (calibrated,) if calibrated is not None else ()
        taken, paid = clock() - start, prices or {}
        return cls(recipe, methods, target, draft, taken, clock, paid, choices, timings)

    def stream(
        self, question: str, document: str = "", *, system: str | None = None
    ) -> Iterator[Event]:
        """Answer one question and yield its events; the last one holds the run's document."""
        asked = Question("", question, document)
        settled = self.settled(asked, system)
        identifier = run_identifier(settled.recipe, question, document, system)
        local = self.local_run(settled.recipe, system)
        return self.answered(local, replace(asked, identifier=identifier), settled.choices)

    def local_run(self, recipe: Recipe, system: str | None = None) -> LocalRun:
        """The state of one run of the session's models."""
        methods = built_methods(recipe) if self.recipe.automatic else self.methods
        plain = recipe.plain
        models = self.target, self.draft
        return LocalRun(recipe, *models, self.clock, system, plain=plain, methods=methods)

    def answered(
        self, local: LocalRun, question: Question, choices: tuple[AutoChoice, ...] = ()
    ) -> Generator[Event, None, None]:
        """Answer a question on the models of this machine; its identifier is that of its run."""
        recipe, name = local.recipe, question.identifier
        backend = LocalBackend(recipe, self.target, self.draft, self.clock, local.system)
        backend.runs[name] = local
        load_seconds = 0.0 if local.past is not None else self.load_seconds
        recorder = RunRecorder(
            recipe,
            local,
            load_seconds,
            remarks=(*choice_notes(choices), *unused_draft(local)),
            choices=choices,
        )
        run = QuestionRun(recorder, self.clock, ended=self._keep_timing)
        job = job_of(recipe, name, question, plain=local.plain)
        return run.events(backend, Judges(self.prices) if recipe.judge else None, job)

    def settled(self, asked: Question, system: str | None, prompt: Prompt | None = None) -> Settled:
        """The recipe for this question, and the choices behind it.

        `prompt` is the question's prompt, if the caller has built it.
        """
        if not self.recipe.automatic:
            return Settled(self.recipe, self.choices)
        tokenizer, template = self.target.tokenizer, self.target.template
        prompt = prompt or chat_prompt(tokenizer, template, asked.text, asked.document, system)
        network = self.target.network
        models = {self.recipe.model: self.target, self.recipe.draft: self.draft}
        known = measurements(network.device, models)
        choice = choose(self.recipe, len(prompt), network.weight_format, known)
        return Settled(settled_recipe(self.recipe, choice), (*self.choices, choice))

    def _keep_timing(self, run: Run) -> None:
        """Store the times of a run for later predictions; a failure costs no answer."""
        if self.timings is None or run.finish == "interrupted":
            return
        network = self.target.network
        timing = run_timing(run.document(), alone=True, weights=network.weight_format)
        if timing is not None:
            with suppress(StoreError):
                keep_timing(self.timings, this_machine(network.device).name, timing)


def choice_notes(choices: Sequence[AutoChoice]) -> tuple[str, ...]:
    """The reasons of choices, for users; the usual format of one sequence needs no words."""
    return tuple(one.note for one in choices if not one.usual)


def unused_draft(local: LocalRun) -> tuple[str, ...]:
    """A note if a plain answer names a draft that no method runs."""
    recipe = local.recipe
    if not local.plain or recipe.draft == "self":
        return ()
    if any(method.uses_draft() for _, method in local.methods or ()):
        return ()
    return (f"the draft {recipe.draft} is not used: no method asks for one",)


def built_methods(recipe: Recipe) -> Methods:
    """The recipe's methods with their spellings; empty if `auto` chooses them later."""
    names = () if recipe.automatic else recipe.approximate
    return tuple((name, catalogue.build(name)) for name in names)

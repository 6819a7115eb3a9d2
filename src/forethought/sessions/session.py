"""A recipe with its loaded models, for any number of questions."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace

from forethought import catalogue
from forethought.backends.local.local import LocalBackend
from forethought.backends.local.local_run import LocalRun
from forethought.contracts.questions import Question, Sample
from forethought.contracts.records import Event, Prompt
from forethought.cost.prices import Price
from forethought.driver.judges import Judges
from forethought.engine.meter import Clock, Meter
from forethought.models.chat.prompt import chat_prompt
from forethought.models.load import load
from forethought.models.model import Model
from forethought.prefill.draft_model import ModelDraft
from forethought.prefill.plan import Methods
from forethought.recipes.identity import run_identifier
from forethought.recipes.recipe import Recipe
from forethought.recipes.validation import check_money, check_search
from forethought.sessions.auto import choose
from forethought.sessions.question_run import QuestionRun, job_of
from forethought.sessions.run_record import RunRecorder
from forethought.storage.location import results_file
from forethought.storage.store import Store

Progress = Callable[[str, int, int], None]


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

    @classmethod
    def open(
        cls,
        recipe: Recipe,
        progress: Progress | None = None,
        clock: Clock = time.perf_counter,
        prices: Mapping[str, Price] | None = None,
    ) -> Session:
        """Load the models that the recipe names."""
        start = clock()
        check_money(recipe)
        methods = built_methods(recipe)
        check_search(recipe)
        target = load(recipe.model, weights=recipe.weights, progress=progress)
        drafting = recipe.automatic or recipe.drafts_answers
        drafting = drafting or any(method.uses_draft() for _, method in methods)
        other = recipe.draft != "self" and drafting
        draft = load(recipe.draft, weights=recipe.weights, progress=progress) if other else target
        return cls(recipe, methods, target, draft, clock() - start, clock, prices or {})

    def stream(
        self, question: str, document: str = "", *, system: str | None = None
    ) -> Iterator[Event]:
        """Answer one question and yield its events; the last one holds the run's document."""
        asked = Question("", question, document)
        recipe, remarks = self.settled(asked, system)
        identifier = run_identifier(recipe, question, document, system)
        local = self.local_run(recipe, system)
        return self.answered(local, replace(asked, identifier=identifier), remarks)

    def local_run(self, recipe: Recipe, system: str | None = None) -> LocalRun:
        """The state of one run of the session's models."""
        methods = built_methods(recipe) if self.recipe.automatic else self.methods
        plain = recipe.plain
        models = self.target, self.draft
        return LocalRun(recipe, *models, self.clock, system, plain=plain, methods=methods)

    def answered(
        self, local: LocalRun, question: Question, remarks: tuple[str, ...] = ()
    ) -> Generator[Event, None, None]:
        """Answer a question on the models of this machine; its identifier is that of its run."""
        recipe, name = local.recipe, question.identifier
        backend = LocalBackend(recipe, self.target, self.draft, self.clock, local.system)
        backend.runs[name] = local
        load_seconds = 0.0 if local.past is not None else self.load_seconds
        notes = (*remarks, *unused_draft(local))
        run = QuestionRun(RunRecorder(recipe, local, load_seconds, notes), self.clock)
        job = job_of(recipe, name, question, plain=local.plain)
        return run.events(backend, Judges(self.prices) if recipe.judge else None, job)

    def settled(
        self, asked: Question, system: str | None, prompt: Prompt | None = None
    ) -> tuple[Recipe, tuple[str, ...]]:
        """The recipe for this question, and notes on the choice of `auto`.

        `prompt` is the question's prompt, if the caller has built it.
        """
        if not self.recipe.automatic:
            return self.recipe, ()
        tokenizer, template = self.target.tokenizer, self.target.template
        prompt = prompt or chat_prompt(tokenizer, template, asked.text, asked.document, system)
        draft = ModelDraft(self.draft, self.target, Meter(self.clock))
        choice = choose(self.recipe, prompt, draft, stored_samples())
        return replace(self.recipe, approximate=choice.methods), (f"auto: {choice.reason}",)


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


def stored_samples() -> list[Sample]:
    """The samples of the results file; empty if there is no file."""
    file = results_file()
    if not file.is_file():
        return []
    with Store.open(file) as store:
        return store.samples()

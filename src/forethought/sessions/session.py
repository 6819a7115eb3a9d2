"""A recipe's models, loaded once and asked as often as wanted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from forethought import catalogue
from forethought.backends.local.local import LocalBackend
from forethought.backends.openai.protocol import Price
from forethought.contracts.questions import Question, Sample
from forethought.contracts.records import Event, Prompt
from forethought.driver.judges import Judges
from forethought.engine.meter import Clock, Meter
from forethought.models.chat.prompt import chat_prompt
from forethought.models.load import load
from forethought.models.model import Model
from forethought.prefill.draft_model import ModelDraft
from forethought.prefill.prefill import Methods
from forethought.recipes.identity import run_identifier
from forethought.recipes.recipe import Recipe
from forethought.recipes.validation import check_money, check_search
from forethought.sessions.asking import Asking
from forethought.sessions.auto import choose
from forethought.sessions.search_run import SearchRun
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
    """Of models on servers that judge what is written here."""

    @classmethod
    def open(
        cls,
        recipe: Recipe,
        progress: Progress | None = None,
        clock: Clock = time.perf_counter,
        prices: Mapping[str, Price] | None = None,
    ) -> Session:
        """Load what the recipe names."""
        start = clock()
        check_money(recipe)
        methods = built(recipe)
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
        """Answer one question, event by event; the last event holds the run."""
        if self.recipe.search:
            yield from self._searched(question, document, system)
            return
        tokenizer, template = self.target.tokenizer, self.target.template
        prompt = chat_prompt(tokenizer, template, question, document, system)
        recipe, remarks = self._settled(prompt)
        yield from Asking(
            recipe=recipe,
            methods=built(recipe) if self.recipe.automatic else self.methods,
            target=self.target,
            draft_model=self.draft,
            prompt=prompt,
            identifier=run_identifier(recipe, question, document, system),
            load_seconds=self.load_seconds,
            clock=self.clock,
            remarks=remarks,
        ).events()

    def _searched(self, question: str, document: str, system: str | None) -> Iterator[Event]:
        identifier = run_identifier(self.recipe, question, document, system)
        backend = LocalBackend(self.recipe, self.target, self.draft, self.clock, system)
        searching = SearchRun(self.recipe, self.clock, self.target, self.load_seconds)
        asked = Question(identifier, question, document)
        with Judges(self.prices) as judges:
            yield from searching.events(backend, judges, identifier, asked)

    def _settled(self, prompt: Prompt) -> tuple[Recipe, tuple[str, ...]]:
        """The recipe for this prompt, and what to say of it."""
        if not self.recipe.automatic:
            return self.recipe, ()
        draft = ModelDraft(self.draft, self.target, Meter(self.clock))
        choice = choose(self.recipe, prompt, draft, kept_samples())
        return replace(self.recipe, approximate=choice.methods), (f"auto: {choice.reason}",)


def built(recipe: Recipe) -> Methods:
    """The methods of a recipe with their spellings; none yet where they are chosen later."""
    names = () if recipe.automatic else recipe.approximate
    return tuple((name, catalogue.build(name)) for name in names)


def kept_samples() -> list[Sample]:
    """What is in the results file; nothing where there is none."""
    file = results_file()
    if not file.is_file():
        return []
    with Store.open(file) as store:
        return store.samples()

"""A recipe's models, loaded once and asked as often as wanted."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from forethought import catalogue
from forethought.contracts.errors import UsageError
from forethought.contracts.records import Event
from forethought.engine.meter import Clock
from forethought.models.chat import chat_prompt
from forethought.models.load import load
from forethought.models.model import Model
from forethought.runs.asking import Asking
from forethought.runs.reading import Methods
from forethought.runs.recipe import Recipe

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

    @classmethod
    def open(
        cls, recipe: Recipe, progress: Progress | None = None, clock: Clock = time.perf_counter
    ) -> Session:
        """Load what the recipe names."""
        start = clock()
        if recipe.limit.usd is not None:
            raise UsageError(
                "a model that runs here has no price",
                "state the budget as tokens, seconds or FLOPs, such as 500tok, 2s or 1TFLOP",
            )
        methods = tuple((name, catalogue.build(name)) for name in recipe.approximate)
        target = load(recipe.model, weights=recipe.weights, progress=progress)
        other = recipe.draft != "self" and any(method.uses_draft() for _, method in methods)
        draft = load(recipe.draft, weights=recipe.weights, progress=progress) if other else target
        return cls(recipe, methods, target, draft, clock() - start, clock)

    def stream(
        self, question: str, document: str = "", *, system: str | None = None
    ) -> Iterator[Event]:
        """Answer one question, event by event; the last event holds the run."""
        tokenizer, template = self.target.tokenizer, self.target.template
        yield from Asking(
            recipe=self.recipe,
            methods=self.methods,
            target=self.target,
            draft_model=self.draft,
            prompt=chat_prompt(tokenizer, template, question, document, system),
            identifier=run_identifier(self.recipe, question, document, system),
            load_seconds=self.load_seconds,
            clock=self.clock,
        ).events()


def run_identifier(
    recipe: Recipe, question: str, document: str = "", system: str | None = None
) -> str:
    """Names a run by what went into it: the same recipe and question give the same one."""
    said = () if system is None else (system,)
    parts = "\0".join((recipe.to_json(), question, document, *said))
    return hashlib.sha256(parts.encode("utf-8", "surrogatepass")).hexdigest()[:16]

"""Questions to a model on a server: its recipe is a search, if only of one plain answer."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass

from forethought.contracts.errors import UsageError
from forethought.contracts.questions import Question
from forethought.contracts.records import Event
from forethought.engine.meter import Clock
from forethought.runs.recipe import Recipe
from forethought.runs.remote import Remote
from forethought.runs.remote_api import Endpoint
from forethought.runs.remote_wire import Manner
from forethought.runs.search_run import SearchRun
from forethought.runs.session import run_identifier


@dataclass(frozen=True)
class RemoteSession:
    """A recipe whose model answers on a server, such as `http://127.0.0.1:8000/v1#name`."""

    recipe: Recipe
    clock: Clock = time.monotonic

    def __post_init__(self) -> None:
        recipe = self.recipe
        if recipe.approximate or recipe.draft != "self":
            raise UsageError(
                "methods work inside a model that runs here, and this one runs on a server",
                "shorten the text first with: forethought compress",
            )
        if recipe.logprobs or recipe.keep_stop or recipe.weights != Recipe.weights:
            raise UsageError(
                "a server is not asked for --logprobs, --keep-stop or --weights",
                "leave them out, or run the model here",
            )

    def stream(
        self, question: str, document: str = "", *, system: str | None = None
    ) -> Generator[Event, None, None]:
        """Answer one question, event by event; the last event holds the run."""
        recipe = self.recipe
        manner = Manner(
            temperature=recipe.warmth,
            top_k=recipe.top_k,
            top_p=recipe.top_p,
            min_p=recipe.min_p,
            stop=recipe.stop,
            system=system,
        )
        identifier = run_identifier(recipe, question, document, system)
        with Remote(Endpoint.parse(recipe.model), manner, clock=self.clock) as server:
            server.check_limit(recipe.limit)
            searching = SearchRun(recipe, self.clock)
            yield from searching.events(
                server, identifier, Question(identifier, question, document)
            )

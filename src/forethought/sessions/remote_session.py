"""Questions for a model on a server; a plain answer is a search with one candidate."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field

from forethought.backends.openai.backend import OpenAIBackend
from forethought.backends.openai.endpoint import Endpoint
from forethought.backends.openai.recipe_check import check_remote, params_of
from forethought.contracts.questions import Question
from forethought.contracts.records import Event
from forethought.cost.prices import Price
from forethought.driver.judges import Judges
from forethought.engine.meter import Clock
from forethought.recipes.identity import run_identifier
from forethought.recipes.recipe import Recipe
from forethought.recipes.validation import check_search
from forethought.sessions.question_run import QuestionRun, job_of
from forethought.sessions.run_record import RunRecorder


@dataclass(frozen=True)
class RemoteSession:
    """A recipe whose model runs on a server, such as `http://127.0.0.1:8000/v1#name`."""

    recipe: Recipe
    clock: Clock = time.monotonic
    prices: Mapping[str, Price] = field(default_factory=dict)
    """By model name; under "" the price of all other models."""

    def __post_init__(self) -> None:
        check_remote(self.recipe)
        check_search(self.recipe)

    def stream(
        self, question: str, document: str = "", *, system: str | None = None
    ) -> Generator[Event, None, None]:
        """Answer one question and yield its events; the last one holds the run's document."""
        recipe = self.recipe
        identifier = run_identifier(recipe, question, document, system)
        params, clock = params_of(recipe, system), self.clock
        place = Endpoint.parse(recipe.model)
        with (
            OpenAIBackend(place, params, prices=self.prices, clock=clock) as server,
            Judges(self.prices, place.base) as judges,
        ):
            asked = Question(identifier, question, document)
            server.check_limits(recipe.limit.kinds)  # before any request
            start = clock()
            _ = server.capabilities  # probes the server before the search and its time limit begin
            run = QuestionRun(RunRecorder(recipe, load_seconds=clock() - start), clock)
            yield from run.events(server, judges, job_of(recipe, identifier, asked, plain=False))

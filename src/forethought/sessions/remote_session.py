"""Questions for a model on a server; a plain answer is a search with one candidate."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field

from forethought.backends.openai.backend import OpenAIBackend
from forethought.backends.openai.endpoint import endpoints_of
from forethought.backends.openai.recipe_check import check_remote, params_of
from forethought.backends.openai.remote_run import RemoteRun
from forethought.contracts.questions import Question
from forethought.contracts.records import Event
from forethought.cost.prices import Price
from forethought.driver.judges import Judges
from forethought.engine.meter import Clock
from forethought.models.load import load
from forethought.models.model import Model
from forethought.recipes.identity import run_identifier
from forethought.recipes.recipe import Recipe
from forethought.recipes.validation import check_search
from forethought.sessions.question_run import QuestionRun, job_of
from forethought.sessions.remote_compression import compression_of, unused_draft
from forethought.sessions.run_record import RunRecorder
from forethought.sessions.session import Progress


@dataclass(frozen=True)
class RemoteSession:
    """A recipe whose model runs on servers, such as `http://127.0.0.1:8000/v1#name`."""

    recipe: Recipe
    clock: Clock = time.monotonic
    prices: Mapping[str, Price] = field(default_factory=dict)
    """By model name; under "" the price of all other models."""
    progress: Progress | None = None
    """Shows the download of a draft."""

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
        place, *replicas = endpoints_of(recipe.model)
        bases = tuple(one.base for one in (place, *replicas))
        with (
            OpenAIBackend(
                place, params, replicas=tuple(replicas), prices=self.prices, clock=clock
            ) as server,
            Judges(self.prices, bases) as judges,
        ):
            asked = Question(identifier, question, document)
            server.check_limits(recipe.limit.kinds)  # before any request
            start = clock()
            server.compression = compression_of(recipe, self._load, clock, system)
            _ = server.capabilities  # probes the server before the search and its time limit begin
            plain = recipe.samples == 1 and recipe.plain
            server.runs[identifier] = RemoteRun(params, server.compression, plain)
            load_seconds, notes = clock() - start, unused_draft(recipe)
            recorder = RunRecorder(recipe, None, load_seconds, notes, streams=plain)
            job = job_of(recipe, identifier, asked, plain=plain)
            yield from QuestionRun(recorder, clock).events(server, judges, job)

    def _load(self, name: str, weights: str) -> Model:
        return load(name, weights=weights, progress=self.progress)

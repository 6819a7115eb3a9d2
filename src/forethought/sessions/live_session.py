"""Many questions at once, each with its own recipe; they join and leave between two steps.

A server owns one live session for the models of this machine, and one for each address that it
forwards to. All calls come from one thread.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from forethought.contracts.backend import Backend
from forethought.contracts.controls import GenerationControls
from forethought.contracts.errors import (
    BudgetTooSmallError,
    ForethoughtError,
    NoDocumentError,
)
from forethought.contracts.records import Event, Prompt
from forethought.contracts.search import Strategy
from forethought.driver.driver import Driver, DriverEvent
from forethought.driver.job import Job, JobResult
from forethought.engine.meter import Clock
from forethought.models.chat.message import Message
from forethought.recipes.recipe import Recipe
from forethought.sessions.question_run import QuestionRun
from forethought.sessions.run_record import RunRecorder


@dataclass(frozen=True)
class LiveRequest:
    """A question for a live session."""

    name: str
    """Identifies the request; no two requests in progress share it."""
    recipe: Recipe
    question: str = ""
    document: str = ""
    system: str | None = None
    prompt: Prompt | None = None
    """The prompt, if the caller has built it; otherwise the three texts above become one."""
    history: tuple[Message, ...] = ()
    """For a model on a server: the messages between the system message and the question."""
    controls: GenerationControls = field(default_factory=GenerationControls)
    visible: frozenset[int] = frozenset()
    """Control tokens that the text of answers shows, such as those around tool calls."""
    predicted: tuple[int, ...] = ()
    """The tokens of the answer that the client expects."""
    prompt_logprobs: int | None = None
    """Top alternatives to report for each token of the prompt; None reports no prompt tokens."""
    remarks: tuple[str, ...] = ()
    """Notes that the run begins with."""
    may_run_exact: bool = False
    """Whether a prompt that is too short for the recipe's methods runs without them."""
    tenant: str = ""
    """Whose request it is; tenants share no cache, and get equal shares of the engine."""
    strategy: Strategy | None = None
    """The search, in the place of the recipe's; the run's answer is that of its result."""
    verdict_prompts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """The tokens of its questions for verdicts, so that tokenization holds up no other request."""


LiveEvent = tuple[str, Event | ForethoughtError]
"""The name of a request and its event. An error, or the event `done`, is its last one."""


class RunOpener(Protocol):
    """Opens the runs of live requests on a back end."""

    @property
    def backend(self) -> Backend:
        """The back end."""
        ...

    def open(self, request: LiveRequest) -> tuple[RunRecorder, Job]:
        """The recorder and the job of a request; raises ForethoughtError if it cannot run."""
        ...

    def close(self) -> None:
        """Close connections."""
        ...

    def before_step(self) -> None:
        """Adjust the back end before the next step."""
        ...

    def figures(self) -> dict[str, int]:
        """Counts of this moment, by name: sequences, bytes of caches, prefix hits."""
        ...


@dataclass
class LiveSession:
    """The questions in progress on one back end."""

    opener: RunOpener
    clock: Clock = time.perf_counter
    _runs: dict[str, QuestionRun] = field(default_factory=dict)
    """By name of the request."""
    _lenient: dict[str, LiveRequest] = field(default_factory=dict)
    """Requests in progress that may run without their methods, by name."""
    _events: list[LiveEvent] = field(default_factory=list)
    """Events that come before the next step's."""

    def __post_init__(self) -> None:
        self._driver = Driver(self.opener.backend)

    @property
    def idle(self) -> bool:
        """Whether nothing is in progress."""
        return self._driver.idle and not self._events

    @property
    def in_progress(self) -> int:
        """The number of unfinished requests."""
        return len(self._runs)

    def now(self) -> float:
        """The back end's clock, in seconds."""
        return self.opener.backend.now()

    def submit(self, request: LiveRequest) -> None:
        """Start a request beside those in progress; an error becomes its only event."""
        name = request.name
        try:
            recorder, job = self.opener.open(request)
            run = self._runs[name] = QuestionRun(recorder, self.clock)
            self._events += [(name, event) for event in run.begin()]
            if request.may_run_exact and request.recipe.approximate:
                self._lenient[name] = request
            # Requests share no replay log, so each has keys of its own.
            self._driver.add([replace(job, key_namespace=name)])
        except ForethoughtError as error:
            self.cancel(name)
            self._events.append((name, error))

    def cancel(self, name: str) -> None:
        """End a request without further events, and free all that it holds; idempotent."""
        self._runs.pop(name, None)
        self._lenient.pop(name, None)
        self._events = [one for one in self._events if one[0] != name]
        self._driver.drop(name)

    def close(self) -> None:
        """End all requests, and close connections."""
        for name in list(self._runs):
            self.cancel(name)
        self.opener.close()

    def step(self, until: float | None = None) -> list[LiveEvent]:
        """The events of the next step of the back end; waits for them until a time at most."""
        told, self._events = self._events, []
        if self._driver.idle:
            return told
        self.opener.before_step()
        for event in self._driver.step(until):
            told += self._told(event)
        return told

    def _told(self, event: DriverEvent) -> Iterator[LiveEvent]:
        name, run = event.run, self._runs[event.run]
        try:
            yield from ((name, one) for one in run.events_of(event))
        except ForethoughtError as error:
            if self._runs_exact(name, error):
                return
            yield name, error
        if isinstance(event, JobResult):
            del self._runs[name]
            self._lenient.pop(name, None)

    def _runs_exact(self, name: str, error: ForethoughtError) -> bool:
        """Whether a request starts anew without the methods that its prompt is too short for."""
        request = self._lenient.pop(name, None)
        if request is None or not isinstance(error, BudgetTooSmallError | NoDocumentError):
            return False
        self._runs.pop(name)
        self.submit(
            replace(
                request,
                recipe=replace(request.recipe, approximate=(), draft="self"),
                may_run_exact=False,
                remarks=(f"the run is exact: {error.message}",),
            )
        )
        return True

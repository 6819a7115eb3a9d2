"""Cells of an evaluation on workers in other processes.

This process alone writes the results file. A cell whose worker is lost is given to another worker;
stored answers and reported outcomes are not computed again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol

from forethought.backends.openai.endpoint import endpoints_of
from forethought.contracts.errors import ClusterError, ForethoughtError, RemoteError
from forethought.contracts.questions import Measure
from forethought.evaluation.cells import OpenSamples, cells
from forethought.evaluation.ray_records import (
    Answered,
    ErrorRecord,
    Failed,
    Lookup,
    Outcome,
    Refused,
    Report,
    cell_text,
    reports_of,
)
from forethought.evaluation.wanted_sample import SampleAnswer, WantedSample
from forethought.recipes.recipe import Recipe, is_remote
from forethought.sessions.batch import AT_ONCE_ELSEWHERE, AT_ONCE_ON_CPU, Answers
from forethought.storage.replay_log import outcome_document, outcome_of

HERE = ""
"""The place of workers that run models themselves; all other places are addresses of servers."""
MAX_LOSSES = 3
"""Workers that a cell may lose before the evaluation ends."""


@dataclass(frozen=True)
class WorkerEvent:
    """News of a worker."""

    worker: int
    kind: Literal["ready", "reports", "end", "lost"]
    text: str = ""
    """The reports as JSON, the reason of a loss, or the error of a worker that cannot start."""


class Workers(Protocol):
    """Processes that answer cells."""

    @property
    def engines(self) -> int:
        """The number of workers with models of their own that the machines hold."""
        ...

    @property
    def accelerated(self) -> bool:
        """Whether these workers have a GPU each."""
        ...

    def start(self, place: str) -> int:
        """Start a worker; it is `ready` or `lost` later."""
        ...

    def submit(self, worker: int, cell: str) -> None:
        """Give a worker a cell."""
        ...

    def tell(self, worker: int, reply: str) -> None:
        """Answer a worker's lookup."""
        ...

    def events(self) -> list[WorkerEvent]:
        """Wait for news. Raises ClusterError if no worker can start."""
        ...


@dataclass(eq=False)
class Cell:
    """Recipes of one model on a group of questions."""

    wanted: Sequence[WantedSample]
    places: tuple[str, ...]
    """Where it can run."""
    losses: int = 0
    """Workers that died with it."""

    @property
    def model(self) -> tuple[str, str]:
        """The model that a worker loads for it, and its weight format."""
        return _model(self.wanted[0])


@dataclass(frozen=True)
class RunningCell:
    """A cell on a worker."""

    cell: Cell
    going: Sequence[WantedSample]
    """The samples that the worker was given."""
    answered: set[int] = field(default_factory=set)
    """Indices of those that are stored."""

    def unanswered(self) -> Cell:
        """The cell with the rest of its samples."""
        rest = (one for place, one in enumerate(self.going) if place not in self.answered)
        self.cell.wanted = list(rest)
        return self.cell


@dataclass(frozen=True)
class RayCells:
    """Answers cells on workers: one per server, and as many engines as the machines hold."""

    batches: Answers
    """Names servers and measures texts in this process."""
    open_workers: Callable[[], AbstractContextManager[Workers]]

    def settled(self, recipe: Recipe) -> Recipe:
        """See `Answers.settled`."""
        return self.batches.settled(recipe)

    def measure(self, recipe: Recipe) -> Measure:
        """As `Answers.measure`; the model loads with the first text, since most tasks have none."""
        return lambda text: self.batches.measure(recipe)(text)

    def answers(self, samples: OpenSamples) -> Iterator[SampleAnswer]:
        """Answer all missing samples; workers start only if there are some."""
        if samples.missing:
            with self.open_workers() as workers:
                yield from Dispatch(workers, samples, spread(samples.missing, workers)).answers()


@dataclass
class Dispatch:
    """Gives cells to workers, and handles their reports."""

    workers: Workers
    samples: OpenSamples
    queue: list[Cell]
    failed: ForethoughtError | None = None
    """The first error; no cell starts after it, and those that run are finished."""
    _places: dict[int, str] = field(default_factory=dict)
    """The place of each worker."""
    _idle: list[int] = field(default_factory=list)
    _loaded: dict[int, tuple[str, str]] = field(default_factory=dict)
    """The model of the last cell of each worker."""
    _running: dict[int, RunningCell] = field(default_factory=dict)
    """The cell of each busy worker."""
    _down: set[str] = field(default_factory=set)
    """Servers that failed."""
    _false_starts: int = 0

    def answers(self) -> Iterator[SampleAnswer]:
        """Answer all cells; raises the first error once the running cells have ended."""
        self._start()
        while True:
            self._assign()
            if not self._running and (self.failed or not self.queue):
                break
            for event in self.workers.events():
                yield from self._handle(event)
        if self.failed:
            raise self.failed

    def _start(self) -> None:
        for place in dict.fromkeys(place for cell in self.queue for place in cell.places):
            count = sum(place in cell.places for cell in self.queue)
            most = self.workers.engines if place == HERE else 1
            for _ in range(min(count, most)):
                self._start_at(place)

    def _start_at(self, place: str) -> None:
        self._places[self.workers.start(place)] = place

    def _assign(self) -> None:
        """Give each idle worker a cell."""
        if self.failed:
            return
        for worker in list(self._idle):
            while (cell := self._next(worker)) is not None:
                self.queue.remove(cell)
                if going := self.samples.remaining(cell.wanted):
                    self._idle.remove(worker)
                    self._running[worker] = RunningCell(cell, going)
                    self._loaded[worker] = cell.model
                    self.workers.submit(worker, cell_text(going))
                    break

    def _next(self, worker: int) -> Cell | None:
        """The first cell that the worker can answer: of its own model, or of one not loaded."""
        place, own = self._places[worker], self._loaded.get(worker)
        able = [
            cell
            for cell in self.queue
            if place in cell.places
            and (place not in self._down or self._down.issuperset(cell.places))
        ]
        loaded = set(self._loaded.values())
        return min(able, key=lambda one: (one.model != own, one.model in loaded), default=None)

    def _handle(self, event: WorkerEvent) -> Iterator[SampleAnswer]:
        match event.kind:
            case "ready" if event.text:
                self.failed = self.failed or ErrorRecord.parse(event.text).error
            case "ready":
                self._idle.append(event.worker)
            case "reports":
                for report in reports_of(event.text):
                    yield from self._reported(event.worker, report)
            case "end":
                self._running.pop(event.worker, None)
                self._idle.append(event.worker)
            case "lost":
                self._lost(event)

    def _reported(self, worker: int, report: Report) -> Iterator[SampleAnswer]:
        running = self._running[worker]
        match report:
            case Lookup():
                self.workers.tell(worker, self._stored(report.key))
            case Outcome():
                self.samples.replay_log.put(outcome_of(report.key, report.document))
            case Answered():
                yield SampleAnswer(running.going[report.place], report.run, report.made)
                running.answered.add(report.place)
            case Refused():
                self._refused(running.going[report.place], report.error.error)
            case Failed():
                self._cell_failed(running, self._places[worker], report.error.error)

    def _stored(self, key: str) -> str:
        outcome = self.samples.replay_log.get(key)
        return json.dumps(None if outcome is None else outcome_document(outcome))

    def _refused(self, one: WantedSample, error: ForethoughtError) -> None:
        try:
            self.samples.refuse(one, error)
        except ForethoughtError as baseline:
            self.failed = self.failed or baseline

    def _cell_failed(self, running: RunningCell, place: str, error: ForethoughtError) -> None:
        """Give the cell to another server of its model, if there is one."""
        places = running.cell.places
        if isinstance(error, RemoteError) and len(places) > 1:
            self._down.add(place)
            if not self._down.issuperset(places):
                self.queue.insert(0, running.unanswered())
                return
        self.failed = self.failed or error

    def _lost(self, event: WorkerEvent) -> None:
        """Give the worker's cell to another worker, and start one in its place."""
        worker, place = event.worker, self._places.pop(event.worker)
        self._idle = [one for one in self._idle if one != worker]
        if worker in self._running:
            cell = self._running.pop(worker).unanswered()
            cell.losses += 1
            losses, what = cell.losses, f"with {len(cell.wanted)} answers open"
            self.queue[:0] = [cell] if cell.wanted else []
        else:
            self._false_starts += 1
            losses, what = self._false_starts, "before its first question"
        if losses >= MAX_LOSSES:
            self.failed = self.failed or _lost_again(losses, what, event.text)
        elif not self.failed and place not in self._down:
            self._start_at(place)


def spread(missing: Sequence[WantedSample], workers: Workers) -> list[Cell]:
    """Cells of one model each, small enough for all workers to have one."""
    by_model: dict[tuple[str, str], list[WantedSample]] = {}
    for one in missing:
        by_model.setdefault(_model(one), []).append(one)
    found = []
    for (model, _), wanted in by_model.items():
        places = _places_of(model)
        count = workers.engines if places == (HERE,) else len(places)
        many = AT_ONCE_ELSEWHERE if workers.accelerated or is_remote(model) else AT_ONCE_ON_CPU
        share = math.ceil(len(wanted) / count)
        found += [Cell(cell, places) for cell in cells(wanted, min(many, share))]
    return found


def _model(one: WantedSample) -> tuple[str, str]:
    return one.recipe.model, one.recipe.weights


def _places_of(model: str) -> tuple[str, ...]:
    """The servers of a model; `HERE` for a model that a worker runs itself."""
    return tuple(one.base for one in endpoints_of(model)) if is_remote(model) else (HERE,)


def _lost_again(losses: int, what: str, reason: str) -> ClusterError:
    return ClusterError(
        f"{losses} workers died ({what}): {reason}",
        "their memory may not suffice: try fewer --ray-actors, or without --ray",
    )

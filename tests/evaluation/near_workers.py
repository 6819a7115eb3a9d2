"""Workers of an evaluation inside the test's process: the real worker, without a cluster."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version

from forethought.backends.openai.endpoint import Patience
from forethought.evaluation.ray_cells import WorkerEvent
from forethought.evaluation.ray_records import Outcome, WorkerSettings, reports_of
from forethought.evaluation.ray_worker import CellWorker
from forethought.sessions.batch import Answers
from forethought.sessions.remote_batch import Servers

HASTY = Patience(attempts=2, first_wait=0.01)


@dataclass
class NearWorkers:
    """Workers that take turns; some die behind the first report of a kind."""

    models: Mapping[str, object]
    engines: int = 2
    dies: dict[int, type] = field(default_factory=dict)
    """The report behind which a worker dies, by the worker's number."""
    version: str = version("forethought")
    accelerated: bool = False
    answers: type[Answers] = Answers
    started: list[str] = field(default_factory=list)
    """The place of every worker."""
    taken: list[tuple[int, int]] = field(default_factory=list)
    """Worker and length of every cell."""
    reported: list[str] = field(default_factory=list)
    """The keys of all outcomes."""
    _workers: dict[int, CellWorker] = field(default_factory=dict)
    _streams: deque = field(default_factory=deque)
    _news: deque = field(default_factory=deque)
    _made: list[Answers] = field(default_factory=list)

    @contextmanager
    def opened(self):
        try:
            yield self
        finally:
            for one in self._made:
                one.close()

    def start(self, place):
        self.started.append(place)
        number = len(self.started)
        settings = WorkerSettings(self.version, place, 1, {})
        self._workers[number] = CellWorker(settings.text(), self._answers)
        self._news.append(WorkerEvent(number, "ready", self._workers[number].ready()))
        return number

    def submit(self, worker, cell):
        self.taken.append((worker, len(cell)))
        self._streams.append((worker, self._workers[worker].answer(cell)))

    def tell(self, worker, reply):
        self._workers[worker].tell(reply)

    def events(self):
        if self._news:
            return [self._news.popleft()]
        worker, stream = self._streams.popleft()
        text = next(stream, None)
        if text is None:
            return [WorkerEvent(worker, "end")]
        reports = list(reports_of(text))
        self.reported += [one.key for one in reports if isinstance(one, Outcome)]
        found = [WorkerEvent(worker, "reports", text)]
        if any(isinstance(one, self.dies.get(worker, ())) for one in reports):
            return [*found, WorkerEvent(worker, "lost", "it was killed")]
        self._streams.append((worker, stream))
        return found

    def _answers(self, settings):
        clock = iter(range(10**9)).__next__
        servers = Servers(clock, settings.prices, HASTY, settings.endpoint)
        made = self.answers(lambda name, weights: self.models[name], clock, servers)
        self._made.append(made)
        return made

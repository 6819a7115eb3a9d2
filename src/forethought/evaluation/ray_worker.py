"""A worker of an evaluation: answers cells in another process, and reports as it goes.

The module runs inside a Ray actor, and knows nothing of Ray. It imports torch only when a worker
starts, after the settings that torch reads at import.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from importlib.metadata import version
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from forethought.contracts.backend import RequestOutcome
from forethought.contracts.errors import ClusterError, ForethoughtError, UsageError
from forethought.evaluation.ray_records import (
    Answered,
    ErrorRecord,
    Failed,
    Lookup,
    Outcome,
    Refused,
    Report,
    WorkerSettings,
    cell_of,
    reports_text,
)
from forethought.storage.replay_log import outcome_document, outcome_of

if TYPE_CHECKING:
    from forethought.sessions.batch import Answers

Start = Callable[[WorkerSettings], "Answers"]
"""Makes the answers of a worker."""
_Reports = SimpleQueue[Report | None]
"""The reports of a cell; None ends them."""


class CellWorker:
    """Answers one cell after the other."""

    def __init__(self, settings: str, start: Start | None = None) -> None:
        self._settings = WorkerSettings.parse(settings)
        self._start = start or started_answers
        self._replies: SimpleQueue[str] = SimpleQueue()

    def ready(self) -> str:
        """Get ready to answer; returns the error as JSON, or an empty text."""
        try:
            check_version(self._settings.version)
            self._answers = self._start(self._settings)
        except ForethoughtError as error:
            return ErrorRecord.of(error).text()
        return ""

    def answer(self, cell: str) -> Iterator[str]:
        """Answer a cell; yields its reports in order, several in one text if they are there."""
        reports: _Reports = SimpleQueue()
        # A thread, since an outcome is reported from deep inside the calls that answer.
        threading.Thread(target=self._run, args=(cell, reports), daemon=True).start()
        ended = False
        while not ended:
            found = list(_available(reports))
            ended = None in found
            yield reports_text([one for one in found if one is not None])

    def tell(self, reply: str) -> None:
        """The reply to the worker's lookup."""
        self._replies.put(reply)

    def _run(self, cell: str, reports: _Reports) -> None:
        from forethought.storage.provenance import provenance

        def refuse(place: int, error: UsageError) -> None:
            reports.put(Refused(place, ErrorRecord.of(error)))

        try:
            log = _ReportedLog(reports, self._replies)
            for one in self._answers.answer(cell_of(cell), refuse, log):
                made = {**provenance(), **one.made}
                reports.put(Answered(one.place, one.run.document(), made))
        except ForethoughtError as error:
            reports.put(Failed(ErrorRecord.of(error)))
        except Exception as error:  # the boundary of the worker
            reports.put(Failed(ErrorRecord.of(_unexpected(error))))
        finally:
            reports.put(None)


class _ReportedLog:
    """The replay log of the process that evaluates, by messages."""

    def __init__(self, reports: _Reports, replies: SimpleQueue[str]) -> None:
        self._reports = reports
        self._replies = replies

    def get(self, key: str) -> RequestOutcome | None:
        self._reports.put(Lookup(key))
        document: dict[str, Any] | None = json.loads(self._replies.get())
        return None if document is None else outcome_of(key, document)

    def put(self, outcome: RequestOutcome) -> None:
        self._reports.put(Outcome(outcome.key, outcome_document(outcome)))


def check_version(wanted: str) -> None:
    """Raise ClusterError unless this node has the version of the process that evaluates."""
    if (found := version("forethought")) != wanted:
        raise ClusterError(
            f"a node of the cluster has forethought {found}, and the evaluation runs {wanted}",
            "install one version on all nodes",
        )


def started_answers(settings: WorkerSettings) -> Answers:
    """Start torch with the worker's threads; models load with the first cell."""
    from forethought.models.hardware.native_settings import settle

    settle(os.environ)
    import torch

    from forethought.sessions.batch import Answers
    from forethought.sessions.remote_batch import Servers

    torch.set_num_threads(settings.threads)
    return Answers(servers=Servers(prices=settings.prices, only=settings.endpoint))


def _available(reports: _Reports) -> Iterator[Report | None]:
    """The next report, once it is there, and all that are there with it."""
    yield reports.get()
    while True:
        try:
            yield reports.get_nowait()
        except Empty:
            return


def _unexpected(error: Exception) -> ClusterError:
    return ClusterError(
        f"a worker failed: {type(error).__name__}: {error}", "run the same line without --ray"
    )

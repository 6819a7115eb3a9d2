"""The engine of this process, for adapters: one thread owns it, and any thread may ask it.

Requests that overlap share its batches. Models load once, at their first request.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from forethought.contracts.errors import ModelError, UsageError
from forethought.contracts.records import Event
from forethought.models.hardware.native_settings import settle
from forethought.models.load import load
from forethought.models.model import Model
from forethought.recipes.recipe import Recipe, is_remote
from forethought.sessions.live_local import LocalOpener
from forethought.sessions.live_session import LiveEvent, LiveRequest, LiveSession


class _Arrival(NamedTuple):
    request: LiveRequest


class _Departure(NamedTuple):
    name: str


Outbox = queue.SimpleQueue[Event | Exception]


@dataclass
class LocalEngine:
    """A live session in a thread of its own."""

    loader: Callable[[str, str], Model] = lambda name, weights: load(name, weights=weights)
    """(name, weights) to a model."""
    _inbox: queue.SimpleQueue[_Arrival | _Departure] = field(default_factory=queue.SimpleQueue)
    _outboxes: dict[str, Outbox] = field(default_factory=dict)
    _models: dict[tuple[str, str], Model] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    """Guards `_models` and the start of the thread."""
    _thread: threading.Thread | None = None
    session: LiveSession | None = None
    """Opened by the thread at the first request; other threads may read its counters."""

    def model(self, name: str, weights: str = "auto") -> Model:
        """A loaded model; UsageError for one on a server."""
        if is_remote(name):
            raise UsageError(
                f"{name} is a model on a server", "ask that server through its own adapter"
            )
        with self._lock:
            if (name, weights) not in self._models:
                self._models[name, weights] = self.loader(name, weights)
            return self._models[name, weights]

    def answer(self, request: LiveRequest) -> Iterator[Event]:
        """The events of a request, as they come; leaving the iterator ends the request.

        Raises the error that the request ends with.
        """
        self._start()
        outbox = self._outboxes[request.name] = queue.SimpleQueue()
        self._inbox.put(_Arrival(request))
        try:
            while True:
                event = outbox.get()
                if isinstance(event, Exception):
                    raise event
                yield event
                if event.kind == "done":
                    return
        finally:
            self._outboxes.pop(request.name, None)
            self._inbox.put(_Departure(request.name))

    def run(self, request: LiveRequest) -> list[Event]:
        """All events of a request."""
        return list(self.answer(request))

    def cancel(self, name: str) -> None:
        """End a request from another thread than the one that waits for it."""
        if outbox := self._outboxes.get(name):
            outbox.put(ModelError("the request was cancelled"))

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="engine", daemon=True)
                self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                self._take_messages()
                if self.session is not None:
                    self._deliver(self.session.step())
            except Exception as error:  # those who wait get it; without it they wait for ever
                self.session = None
                for outbox in list(self._outboxes.values()):
                    outbox.put(error)

    def _take_messages(self) -> None:
        """Handle the messages so far; waits for one while nothing is in progress."""
        wait = self.session is None or self.session.idle
        while wait or not self._inbox.empty():
            message = self._inbox.get()
            wait = False
            match message:
                case _Arrival(request):
                    self._opened(request.recipe).submit(request)
                case _Departure(name) if self.session is not None:
                    self.session.cancel(name)

    def _opened(self, recipe: Recipe) -> LiveSession:
        # Opened in the thread that steps it: a prefill continues in the thread that began it.
        if self.session is None:
            self.session = LiveSession(LocalOpener(self.model, recipe))
        return self.session

    def _deliver(self, events: list[LiveEvent]) -> None:
        for name, event in events:
            if outbox := self._outboxes.get(name):
                outbox.put(event)


@cache
def local_engine() -> LocalEngine:
    """The engine of this process."""
    settle(os.environ)
    return LocalEngine()


def usage_details(run: dict[str, Any]) -> dict[str, int]:
    """Tokens of a run besides those of its prompt and its answer, by kind; only nonzero ones."""
    kinds = ("cached_tokens", "draft_tokens", "scoring_tokens")
    return {kind: run["cost"][kind] for kind in kinds if run["cost"][kind]}

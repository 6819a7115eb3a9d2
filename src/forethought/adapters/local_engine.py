"""The engine of this process, for adapters: one thread owns it, and any thread may ask it.

Requests that overlap share its batches. Models load once, at their first request.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from forethought.contracts.errors import UsageError
from forethought.contracts.records import Event
from forethought.models.hardware.native_settings import settle
from forethought.models.load import load
from forethought.models.model import Model
from forethought.recipes.recipe import Recipe, is_remote
from forethought.sessions.engine_thread import EngineThread
from forethought.sessions.live_local import LocalOpener
from forethought.sessions.live_session import LiveRequest, LiveSession


@dataclass
class LocalEngine:
    """An engine thread that starts with the first request."""

    loader: Callable[[str, str], Model] = lambda name, weights: load(name, weights=weights)
    """(name, weights) to a model."""
    _models: dict[tuple[str, str], Model] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    """Guards `_models` and the start of the thread."""
    _engine: EngineThread | None = None

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

    def answer(self, request: LiveRequest) -> Generator[Event, None, None]:
        """The events of a request, as they come; leaving the iterator ends the request.

        Raises the error that the request ends with.
        """
        return self._started(request.recipe).events(request)

    def run(self, request: LiveRequest) -> list[Event]:
        """All events of a request."""
        return list(self.answer(request))

    def cancel(self, name: str) -> None:
        """End a request from another thread than the one that waits for it."""
        if self._engine is not None:
            self._engine.cancel(name)

    @property
    def in_progress(self) -> int:
        """The number of unfinished requests."""
        return self._engine.in_progress if self._engine is not None else 0

    def _started(self, recipe: Recipe) -> EngineThread:
        self.model(recipe.model, recipe.weights)  # its error belongs to this request
        with self._lock:
            if self._engine is None:
                self._engine = EngineThread(
                    lambda: LiveSession(LocalOpener(self.model, recipe)), _MOST_REQUESTS
                )
                self._engine.start()
            return self._engine


_MOST_REQUESTS = 1 << 16


@cache
def local_engine() -> LocalEngine:
    """The engine of this process."""
    settle(os.environ)
    return LocalEngine()


def usage_details(run: dict[str, Any]) -> dict[str, int]:
    """Tokens of a run besides those of its prompt and its answer, by kind; only nonzero ones."""
    kinds = ("cached_tokens", "draft_tokens", "scoring_tokens")
    return {kind: run["cost"][kind] for kind in kinds if run["cost"][kind]}

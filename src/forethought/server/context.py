"""The parts of a running server that its routes share."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol, cast

from starlette.requests import Request

from forethought.contracts.records import Event
from forethought.models.model import Model
from forethought.server.confidence_stream import ConfidenceStreams
from forethought.server.errors import ApiError
from forethought.server.metrics import Metrics
from forethought.server.model_names import RecipeReader
from forethought.server.served_models import ServedModels
from forethought.server.served_runs import ServedRuns
from forethought.server.settings import ServerSettings
from forethought.sessions.live_session import LiveRequest

LOG = logging.getLogger("forethought.server")


class Engine(Protocol):
    """Answers requests; `Engines` does."""

    @property
    def ready(self) -> bool:
        """Whether its models are loaded."""
        ...

    @property
    def in_progress(self) -> int:
        """The number of unfinished requests."""
        ...

    def figures(self) -> dict[str, int]:
        """Counts of this moment, by name."""
        ...

    @property
    def queue_waits(self) -> deque[float]:
        """Seconds that sequences have waited for admission, for the metrics to take."""
        ...

    def answer(self, request: LiveRequest) -> AsyncIterator[Event]:
        """The events of a request; leaving the iterator cancels it."""
        ...


@dataclass
class ServerContext:
    """The engine, its models, the settings and the metrics of one server."""

    engine: Engine
    models: ServedModels
    settings: ServerSettings
    metrics: Metrics
    runs: ServedRuns = field(default_factory=ServedRuns)
    confidences: ConfidenceStreams = field(default_factory=ConfidenceStreams)
    created: int = field(default_factory=lambda: int(time.time()))
    recipes: RecipeReader = field(init=False)

    def __post_init__(self) -> None:
        self.recipes = RecipeReader(self.settings)
        self.metrics.registry.register(self.confidences)

    def check_ready(self) -> None:
        """Raise ApiError, status 503, while the models load."""
        if not self.engine.ready:
            raise ApiError(
                503,
                "the models of this server are still loading",
                "ask again in a few seconds, or wait for GET /ready",
                headers={"Retry-After": "2"},
            )

    def model(self, name: str) -> Model:
        """A model that runs on this machine; raises ApiError for one of another server."""
        self.check_ready()
        found = self.models.get(name)
        if found is None:
            raise ApiError(
                400,
                "this model runs on another server, and its tokenizer is not known here",
                "name a model of this machine, or ask that server itself",
            )
        return found


def context_of(request: Request) -> ServerContext:
    """The context of the server that handles a request."""
    return cast(ServerContext, request.app.state.context)


def tenant_of(request: Request) -> str:
    """The partition of the caller: a hash of its key; empty on a server without keys."""
    return str(request.scope.get("tenant", ""))

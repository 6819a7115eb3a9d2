"""A server as a whole: engine, models, application and socket."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI
from sse_starlette.sse import AppStatus

from forethought.contracts.errors import ForethoughtError
from forethought.engine.cache.prefix_cache import PrefixCache
from forethought.models.model import Model
from forethought.recipes.recipe import Recipe, is_remote
from forethought.server.app import create_app
from forethought.server.connection import timed_protocol
from forethought.server.engines import LOCAL, Engines, Place
from forethought.server.served_models import Load, ServedModels
from forethought.server.served_runs import ServedRuns
from forethought.server.settings import ServerSettings
from forethought.sessions.live_local import LocalOpener
from forethought.sessions.live_remote import RemoteOpener
from forethought.sessions.live_session import LiveSession
from forethought.storage.location import served_runs_file
from forethought.storage.run_log import RunLog

_DRAIN_SECONDS = 5
"""Seconds that running requests get when the server ends."""

_SWITCH_SECONDS = 1e-4
"""Seconds that a busy thread keeps the interpreter. The engine gives it up in each of the hundreds
of operations of a decode step, and waits as long for it if another thread lays out a prompt."""


class DrainingServer(uvicorn.Server):
    """A server that gives running requests some seconds, then ends them with an error.

    A second signal ends them at once, and a third one leaves them without an answer.
    """

    def __init__(self, config: uvicorn.Config, end_requests: Callable[[], None]) -> None:
        super().__init__(config)
        self._end_requests = end_requests
        self._hurried = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop at a signal."""
        if not self.should_exit or self._hurried or self._loop is None:
            super().handle_exit(sig, frame)
            return
        self._hurried = True
        # The handler interrupts the loop's own thread, which may hold the engine's lock.
        self._loop.call_soon_threadsafe(self._end_requests)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Wait for running requests, and end those that take too long."""
        delay = 0 if self._hurried else _DRAIN_SECONDS
        asyncio.get_running_loop().call_later(delay, self._end_requests)
        await super().shutdown(sockets)


@dataclass
class ModelServer:
    """A server of models; `run` serves until a signal or `stop`."""

    settings: ServerSettings
    load: Load
    """Loads a model; called in the thread that starts the engines."""
    log_file: Path = field(default_factory=served_runs_file)
    """The file of the runs that were answered."""
    models: ServedModels = field(init=False)
    engine: Engines = field(init=False)
    runs: ServedRuns = field(init=False)
    app: FastAPI = field(init=False)
    failure: ForethoughtError | None = None
    """The error that kept the engine from starting."""

    def __post_init__(self) -> None:
        self.models = ServedModels(self.settings.recipe.weights)
        self.engine = Engines(
            self._load_models, self._open_session, self.settings.recipe, self.settings.max_requests
        )
        kept = RunLog.open(self.log_file) if self.settings.keeps_runs else None
        self.runs = ServedRuns(kept)
        self.app = create_app(self.engine, self.models, self.settings, runs=self.runs)
        config = uvicorn.Config(
            self.app,
            http=timed_protocol(self.settings.body_seconds),
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=2 * _DRAIN_SECONDS,
        )
        self._uvicorn = DrainingServer(config, self.engine.end_requests)

    def run(self, listening: socket.socket, on_ready: Callable[[], None]) -> None:
        """Serve on a bound socket; `on_ready` is called once the models are loaded.

        Raises the error that kept the engine from starting.
        """
        # A signal would cut all streams at once; uvicorn gives them time to end.
        AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call]
        before = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_SECONDS)
        starting = threading.Thread(target=self._start, args=(on_ready,), daemon=True)
        starting.start()
        try:
            self._uvicorn.run(sockets=[listening])
        finally:
            self.engine.stop()
            sys.setswitchinterval(before)
            if self.runs.log is not None:
                self.runs.log.close()
        if self.failure is not None:
            raise self.failure

    def stop(self) -> None:
        """End the server from another thread."""
        self._uvicorn.should_exit = True

    def _start(self, on_ready: Callable[[], None]) -> None:
        try:
            self.engine.start()
            on_ready()
        except ForethoughtError as error:
            self.failure = error
            self.stop()

    def _load_models(self) -> None:
        here = [name for name in self.settings.served.values() if not is_remote(name)]
        self.models.load(here, self.load)

    def _draft(self, name: str, weights: str) -> Model:
        """A served model, or the default one, which counts tokens where no draft is named."""
        if name == Recipe.model and self.models.get(name) is None:
            self.models.load([name], self.load)
        return self.models.named(name, weights)

    def _open_session(self, place: Place, recipe: Recipe) -> LiveSession:
        settings, load = self.settings, self.models.named
        kept = settings.prefix_cache_bytes
        prefixes = PrefixCache(kept) if kept else None
        if place != LOCAL:
            draft = self._draft
            opener = RemoteOpener(recipe, draft, prices=settings.prices, prefix_cache=prefixes)
            return LiveSession(opener)
        local = LocalOpener(
            load,
            recipe,
            prefix_cache=prefixes,
            max_running=settings.max_concurrent,
            queue_waits=self.engine.queue_waits,
        )
        return LiveSession(local)

"""The engines of a server: one for the models of this machine, one for each remote address."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from forethought.backends.openai.recipe_check import stand_in
from forethought.contracts.errors import ForethoughtError
from forethought.contracts.records import Event
from forethought.recipes.recipe import Recipe, is_remote
from forethought.sessions.engine_thread import EngineThread
from forethought.sessions.live_session import LiveRequest, LiveSession

Place = tuple[str, str]
"""An address, and the draft that shortens its prompts; empty for this machine's models."""
LOCAL: Place = ("", "")
_MOST_WAITS = 1 << 16
"""Waits that are kept between two readings of the metrics."""


@dataclass
class Engines:
    """Routes requests to engine threads, which start with the first request for them."""

    load: Callable[[], None]
    """Loads the models of this machine."""
    open_session: Callable[[Place, Recipe], LiveSession]
    """Opens the session of a place with one of its recipes, in the engine's thread."""
    first: Recipe
    """The recipe whose engine starts with the server."""
    max_requests: int = 256
    """Requests in progress on each engine; more are refused."""
    ready: bool = False
    """Whether the models are loaded and the first engine runs."""
    queue_waits: deque[float] = field(default_factory=lambda: deque(maxlen=_MOST_WAITS))
    """Seconds that sequences have waited for admission, for the metrics to take."""
    _threads: dict[Place, EngineThread] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    """Guards `_threads`."""

    def start(self) -> None:
        """Load the models and start the first engine; raises what prevents it."""
        self.load()
        self._thread(self.first).wait_until_ready()
        self.ready = True

    @property
    def local(self) -> EngineThread | None:
        """The engine of this machine's models, if it runs."""
        return self._threads.get(LOCAL)

    @property
    def in_progress(self) -> int:
        """The number of unfinished requests."""
        return sum(one.in_progress for one in list(self._threads.values()))

    def figures(self) -> dict[str, int]:
        """Counts of this moment, by name, over all engines."""
        found: Counter[str] = Counter()
        for one in list(self._threads.values()):
            found.update(one.figures())
        return dict(found)

    async def answer(self, request: LiveRequest) -> AsyncGenerator[Event, None]:
        """The events of a request; leaving the iterator cancels it.

        Raises BusyError if too many are in progress, and the error that the request ends with.
        """
        engine = self._thread(request.recipe)
        if not engine.ready:  # its servers are being probed
            await self._opened(request.recipe, engine)
        async with aclosing(engine.answer(request)) as events:
            async for event in events:
                yield event

    def end_requests(self) -> None:
        """End all requests in progress with an error."""
        for one in list(self._threads.values()):
            one.end_requests()

    def stop(self) -> None:
        """End all requests in progress and all engines."""
        for one in self._threads.values():
            one.stop()

    async def _opened(self, recipe: Recipe, engine: EngineThread) -> None:
        try:
            await asyncio.to_thread(engine.wait_until_ready)
        except ForethoughtError:
            with self._lock:  # the next request tries anew
                self._threads.pop(place_of(recipe), None)
            raise

    def _thread(self, recipe: Recipe) -> EngineThread:
        place = place_of(recipe)
        with self._lock:
            if place not in self._threads:
                made = self._threads[place] = EngineThread(
                    lambda: self.open_session(place, recipe), self.max_requests
                )
                made.start()
            return self._threads[place]


def place_of(recipe: Recipe) -> Place:
    """The place that runs a recipe."""
    if not is_remote(recipe.model):
        return LOCAL
    return recipe.model, stand_in(recipe) if recipe.approximate else ""

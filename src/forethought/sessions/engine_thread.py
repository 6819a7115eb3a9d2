"""The thread that owns the engine: requests come in between two steps, events go out after each.

Event loops and threads send it requests. Requests in progress at the same time share batches.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from forethought.contracts.errors import ForethoughtError, ModelError
from forethought.contracts.records import Event
from forethought.models.hardware.memory import trim_memory
from forethought.sessions.live_session import LiveEvent, LiveRequest, LiveSession

_LOG = logging.getLogger(__name__)
_POLL_SECONDS = 0.02
"""Seconds that a step may wait for another server; new requests wait for it."""

_IDLE_SECONDS = 1.0
"""Seconds without requests after which the process returns unused memory to the system."""

Told = Event | ForethoughtError


class BusyError(ForethoughtError):
    """More requests than the queue holds."""

    def __init__(self, waiting: int, retry_after: int) -> None:
        super().__init__(
            f"{waiting:,} requests are in progress, as many as this server takes",
            f"ask again in {retry_after} seconds",
        )
        self.retry_after = retry_after


class StoppingError(ForethoughtError):
    """The engine ends before the request does."""

    def __init__(self) -> None:
        super().__init__("the server is stopping", "ask again later")


class _Arrival(NamedTuple):
    request: LiveRequest


class _Departure(NamedTuple):
    name: str


@dataclass
class _Listener:
    """Where the events of a request go."""

    put: Callable[[Told], None]
    loop: asyncio.AbstractEventLoop | None = None
    """The event loop that waits for them; None for a thread."""
    tenant: str = ""
    """Whose request it is."""


@dataclass
class EngineThread:
    """Runs a live session in a thread of its own.

    The session is opened in that thread, since a prefill must continue in the thread that began it.
    """

    open_session: Callable[[], LiveSession]
    max_requests: int = 256
    """Requests in progress; more are refused, beyond each tenant's equal share."""
    on_step: Callable[[list[LiveEvent]], None] | None = None
    """Sees the events of each step, in the engine's thread."""
    _inbox: queue.SimpleQueue[_Arrival | _Departure | None] = field(
        default_factory=queue.SimpleQueue
    )
    _listeners: dict[str, _Listener] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    """Guards `_listeners`."""
    _opened: threading.Event = field(default_factory=threading.Event)
    _failure: ForethoughtError | None = None
    session: LiveSession | None = None
    """The session, once it is open; only its counters may be read from other threads."""

    def start(self) -> None:
        """Start the thread, which opens the session."""
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def wait_until_ready(self) -> None:
        """Wait for the session; raises the error that prevented it."""
        self._opened.wait()
        if self._failure is not None:
            raise self._failure

    @property
    def ready(self) -> bool:
        """Whether the session is open."""
        return self.session is not None

    @property
    def in_progress(self) -> int:
        """The number of unfinished requests."""
        return len(self._listeners)

    def figures(self) -> dict[str, int]:
        """Counts of this moment, by name; empty until the session is open."""
        return self.session.opener.figures() if self.session is not None else {}

    def end_requests(self) -> None:
        """End all requests in progress with a StoppingError."""
        with self._lock:
            names = list(self._listeners)
        self._deliver([(name, StoppingError()) for name in names])
        for name in names:
            self._inbox.put(_Departure(name))

    def stop(self) -> None:
        """End all requests in progress and the thread, and close the session."""
        self._inbox.put(None)
        self._thread.join()

    async def answer(self, request: LiveRequest) -> AsyncGenerator[Event, None]:
        """The events of a request; leaving the iterator cancels it.

        Raises BusyError if too many are in progress, and the error that the request ends with.
        """
        events: asyncio.Queue[Told] = asyncio.Queue()
        listener = _Listener(events.put_nowait, asyncio.get_running_loop(), request.tenant)
        with self._listening(request, listener):
            while True:
                event = _checked(await events.get())
                yield event
                if event.kind == "done":
                    return

    def events(self, request: LiveRequest) -> Generator[Event, None, None]:
        """As `answer`, for a thread that waits."""
        events: queue.SimpleQueue[Told] = queue.SimpleQueue()
        with self._listening(request, _Listener(events.put, tenant=request.tenant)):
            while True:
                event = _checked(events.get())
                yield event
                if event.kind == "done":
                    return

    def cancel(self, name: str) -> None:
        """End a request with an error; idempotent."""
        self._deliver([(name, ModelError("the request was cancelled"))])
        self._inbox.put(_Departure(name))

    @contextmanager
    def _listening(self, request: LiveRequest, listener: _Listener) -> Iterator[None]:
        """Send a request; cancel it if it has not ended at the end."""
        with self._lock:
            if not self._admits(request.tenant):
                raise BusyError(len(self._listeners), retry_after=1 + self.max_requests // 64)
            self._listeners[request.name] = listener
        self._inbox.put(_Arrival(request))
        try:
            yield
        finally:
            with self._lock:
                gone = self._listeners.pop(request.name, None)
            if gone is not None:
                self._inbox.put(_Departure(request.name))

    def _admits(self, tenant: str) -> bool:
        """Whether a further request fits: in the whole, or in the equal share of its tenant.

        Requests of one tenant may fill the whole while the others have none.
        """
        if len(self._listeners) < self.max_requests:
            return True
        counts = Counter(one.tenant for one in self._listeners.values())
        share = self.max_requests // len({*counts, tenant})
        return counts[tenant] < share or (not counts[tenant] and self.max_requests > 0)

    def _run(self) -> None:
        try:
            self.session = self.open_session()
        except ForethoughtError as error:
            self._failure = error
            return
        finally:
            self._opened.set()
        while self._take_messages(self.session):
            self._step(self.session)

    def _take_messages(self, session: LiveSession) -> bool:
        """Handle the messages so far; waits for one while nothing is in progress."""
        wait = session.idle
        while wait or not self._inbox.empty():
            message = self._message(idle=wait)
            wait = False
            match message:
                case _Arrival(request):
                    session.submit(request)
                case _Departure(name):
                    session.cancel(name)
                case None:
                    self.end_requests()
                    session.close()
                    return False
        return True

    def _message(self, *, idle: bool) -> _Arrival | _Departure | None:
        """The next message; an engine that is idle for a while returns unused memory."""
        if idle:
            with suppress(queue.Empty):
                return self._inbox.get(timeout=_IDLE_SECONDS)
            trim_memory()
        return self._inbox.get()

    def _step(self, session: LiveSession) -> None:
        try:
            events = session.step(session.now() + _POLL_SECONDS)
        except Exception:  # a defect of ours must end the requests, not the server
            _LOG.exception("a step of the engine failed; all requests in progress end")
            self._fail_all(ModelError("the engine failed; its log says why", "ask again"))
            self.session = self.open_session()
            return
        if self.on_step is not None:
            self.on_step(events)
        self._deliver(events)

    def _deliver(self, events: list[LiveEvent]) -> None:
        """Hand each event to its listener, with one wake-up for each event loop."""
        by_loop: dict[asyncio.AbstractEventLoop | None, list[tuple[_Listener, Told]]] = {}
        with self._lock:
            for name, event in events:
                if isinstance(event, ForethoughtError):
                    event.drop_frames()
                if (listener := self._listeners.get(name)) is None:
                    continue
                by_loop.setdefault(listener.loop, []).append((listener, event))
                if isinstance(event, ForethoughtError) or event.kind == "done":
                    del self._listeners[name]
        for loop, told in by_loop.items():
            if loop is None:
                _put_all(told)
            elif not loop.is_closed():
                loop.call_soon_threadsafe(_put_all, told)

    def _fail_all(self, error: ForethoughtError) -> None:
        with self._lock:
            names = list(self._listeners)
        self._deliver([(name, error) for name in names])


def _put_all(told: list[tuple[_Listener, Told]]) -> None:
    for listener, event in told:
        listener.put(event)


def _checked(event: Told) -> Event:
    if isinstance(event, ForethoughtError):
        try:
            raise event
        finally:
            del event  # the error's traceback holds this frame
    return event

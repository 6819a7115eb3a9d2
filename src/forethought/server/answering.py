"""Runs live requests for routes: time limit, metrics, errors, and clients that leave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Sequence
from contextlib import aclosing, suppress
from typing import Any, NamedTuple, TypeVar

from starlette.requests import Request

from forethought.contracts.errors import ForethoughtError
from forethought.contracts.records import Event
from forethought.server.context import ServerContext
from forethought.server.errors import ApiError, as_api_error
from forethought.server.settings import public_name
from forethought.sessions.engine_thread import BusyError
from forethought.sessions.live_session import LiveRequest

_PEEK_SECONDS = 0.25
"""Seconds that a stream waits for its first event, so that early errors have an HTTP status."""
T = TypeVar("T")


class Told(NamedTuple):
    """An event of one of the prompts of a request."""

    prompt: int
    event: Event


async def answered(context: ServerContext, live: LiveRequest) -> AsyncGenerator[Event, None]:
    """The events of a live request; raises ApiError."""
    watch = context.metrics.watch(live.recipe.samples, live.recipe.max_tokens)
    ends = asyncio.get_running_loop().time() + context.settings.request_seconds
    told = context.engine.answer(live)
    kept = context.runs.begin(live, context.settings.public_text(live.recipe.spelling))
    try:
        while True:
            try:
                async with asyncio.timeout_at(ends):
                    event = await anext(told)
            except StopAsyncIteration:
                return
            if event.kind == "done":
                event = context.recipes.public_event(event)
            if event.kind == "token":
                watch.token()
            elif event.kind == "done":
                watch.done(event.data["run"])
                context.confidences.note_run(public_name(live.recipe.model), event.data["run"])
            await kept.take(event)
            yield event
    except ForethoughtError as error:
        watch.failed()
        shown = _as_api_error(error).shown(context.settings.public_text)
        await kept.fail(shown.document())
        raise shown from error
    except TimeoutError:
        watch.failed()
        late = _too_late(context.settings.request_seconds)
        await kept.fail(late.document())
        raise late from None
    finally:
        watch.close()
        kept.close()
        if isinstance(told, AsyncGenerator):
            await told.aclose()


def _too_late(seconds: float) -> ApiError:
    return ApiError(
        504,
        f"the request took more than {seconds:g} seconds",
        "lower max_tokens, or ask for fewer answers at once",
    )


def _as_api_error(error: ForethoughtError) -> ApiError:
    if isinstance(error, BusyError):
        headers = {"Retry-After": str(error.retry_after)}
        return ApiError(429, error.message, error.hint, headers=headers)
    return as_api_error(error)


async def all_answered(
    context: ServerContext, requests: Sequence[LiveRequest]
) -> AsyncGenerator[Told, None]:
    """The events of several live requests that run side by side; raises ApiError."""
    if len(requests) == 1:
        async with aclosing(answered(context, requests[0])) as events:
            async for event in events:
                yield Told(0, event)
        return
    queue: asyncio.Queue[Told | ApiError | None] = asyncio.Queue()

    async def forward(number: int, live: LiveRequest) -> None:
        try:
            async with aclosing(answered(context, live)) as events:
                async for event in events:
                    queue.put_nowait(Told(number, event))
            queue.put_nowait(None)
        except ApiError as error:
            queue.put_nowait(error)

    tasks = [asyncio.create_task(forward(*one)) for one in enumerate(requests)]
    left = len(tasks)
    try:
        while left:
            match await queue.get():
                case None:
                    left -= 1
                case ApiError() as error:
                    raise error
                case told:
                    yield told
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class OpenedStream:
    """Events of which the first has come, or is late; raises an early error when opened."""

    def __init__(self, events: AsyncGenerator[Told, None]) -> None:
        self._events = events
        self._first: asyncio.Task[Told] | None = None

    async def open(self) -> OpenedStream:
        """Wait for the first event for a moment; raises ApiError if it is an error."""
        self._first = asyncio.ensure_future(_next(self._events))
        try:
            await asyncio.wait({self._first}, timeout=_PEEK_SECONDS)
        except asyncio.CancelledError:
            await self.aclose()
            raise
        if self._first.done() and (error := self._first.exception()) is not None:
            raise error
        return self

    async def __aiter__(self) -> AsyncIterator[Told]:
        assert self._first is not None, "opened before"
        yield await self._first
        async for told in self._events:
            yield told

    async def aclose(self) -> None:
        """End the request."""
        if self._first is not None and not self._first.done():
            self._first.cancel()
            with suppress(asyncio.CancelledError, ApiError):
                await self._first
        await self._events.aclose()


async def _next(events: AsyncGenerator[Told, None]) -> Told:
    return await anext(events)


async def unless_left(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled if the client leaves."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        if not task.done():
            task.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)
    if task.cancelled():
        raise ApiError(499, "the client left")
    return task.result()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass

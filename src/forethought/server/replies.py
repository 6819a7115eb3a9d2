"""The reply to a request for answers: one document, or a stream of events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from forethought.server.answering import OpenedStream, Told, all_answered, unless_left
from forethought.server.context import context_of
from forethought.server.event_stream import EventResponse
from forethought.sessions.live_session import LiveRequest


async def whole_reply(
    request: Request,
    lives: Sequence[LiveRequest],
    take: Callable[[Told], object],
    document: Callable[[], dict[str, Any]],
) -> JSONResponse:
    """The document, once `take` has handled all events; ends if the client leaves."""

    async def built() -> dict[str, Any]:
        async with aclosing(all_answered(context_of(request), lives)) as events:
            async for told in events:
                take(told)
        return document()

    return JSONResponse(await unless_left(request, built()))


async def streamed_reply(
    request: Request,
    lives: Sequence[LiveRequest],
    lines: Callable[[OpenedStream], AsyncGenerator[bytes, None]],
) -> EventResponse:
    """The lines of the events, as they come."""
    context = context_of(request)
    opened = await OpenedStream(all_answered(context, lives)).open()
    return EventResponse(context, lines(opened), opened.aclose)

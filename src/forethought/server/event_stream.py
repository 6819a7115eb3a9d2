"""Server-sent events: lines of JSON, pings while nothing comes, an error as the last line."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import Receive, Scope, Send

from forethought.server.context import LOG, ServerContext
from forethought.server.errors import ApiError, unexpected

DONE = b"data: [DONE]\n\n"
Close = Callable[[], Awaitable[None]]


def data_line(document: dict[str, Any], event: str = "") -> bytes:
    """A document as an event, with a name if one is given."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {text}\n\n".encode()


async def guarded(lines: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The lines; an error becomes the last one."""
    try:
        async for line in lines:
            yield line
    except ApiError as error:
        yield data_line(error.document())
    except Exception:  # the status is sent, so this is the request's boundary
        LOG.exception("a stream failed")
        yield data_line(unexpected().document())


class EventResponse(EventSourceResponse):
    """A stream of events that calls `close` however it ends, even before it has begun."""

    def __init__(
        self, context: ServerContext, lines: AsyncGenerator[bytes, None], close: Close
    ) -> None:
        super().__init__(
            guarded(lines),
            ping=int(max(1, context.settings.ping_seconds)),
            ping_message_factory=lambda: ServerSentEvent(comment="ping", sep="\n"),
            sep="\n",
            headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
        )
        self._lines, self._close = lines, close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._lines.aclose()
            await self._close()

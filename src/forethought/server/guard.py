"""The outermost layer of the server: host, origin and key of a request, its id, its log line."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
import uuid
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from forethought.server.context import LOG
from forethought.server.errors import ApiError, unexpected
from forethought.server.settings import LOOPBACK, ServerSettings

_OPEN = {"/", "/health", "/ready", "/favicon.ico"}
_OPEN_FOLDER = "/page/"
_ID = re.compile(r"[\w.:-]{1,128}")
_PORT = re.compile(r":\d*$")
_MOST_OPEN = 4096
"""HTTP requests that are handled at once."""


@dataclass
class Guard:
    """An ASGI layer that lets requests through that this server may answer."""

    app: ASGIApp
    settings: ServerSettings
    _in_progress: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._tenants = {_digest(key): tenant(key) for key in self.settings.keys}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        self._in_progress += 1
        try:
            await self._handle(scope, receive, send)
        finally:
            self._in_progress -= 1

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, started = Headers(scope=scope), time.perf_counter()
        identifier = _request_id(headers)
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message.setdefault("headers", []).extend(
                    [
                        (b"x-request-id", identifier.encode()),
                        (b"x-content-type-options", b"nosniff"),
                    ]
                )
            await send(message)

        try:
            self._check(scope, headers)
            if scope["method"] == "HEAD":
                await self.app({**scope, "method": "GET"}, receive, _headers_alone(watched))
            else:
                await self.app(scope, receive, watched)
        except ApiError as error:
            if not status:
                await error.response()(scope, receive, watched)
        except Exception:  # the request's boundary: the client must not see a traceback
            LOG.exception("request %s failed", identifier)
            if not status:
                await unexpected().response()(scope, receive, watched)
        seconds = time.perf_counter() - started
        path = scope["path"][:200]
        LOG.info("%s %r %d %.3fs %s", scope["method"], path, status, seconds, identifier)

    def _check(self, scope: Scope, headers: Headers) -> None:
        """Raise ApiError for a request that this server does not answer; note its tenant."""
        if self._in_progress > _MOST_OPEN:
            raise ApiError(
                429,
                f"more than {_MOST_OPEN:,} requests are open",
                "ask again in 2 seconds",
                headers={"Retry-After": "2"},
            )
        if "content-length" in headers and "transfer-encoding" in headers:
            # A proxy may read another length than this server, and so let a second request through.
            raise ApiError(
                400,
                "the request states both Content-Length and Transfer-Encoding",
                "send one of them",
                headers={"Connection": "close"},
            )
        if self.settings.local:
            _check_host(self.settings.host, headers)
        _check_origin(headers)
        scope["tenant"] = self._tenant(scope["path"], headers)

    def _tenant(self, path: str, headers: Headers) -> str:
        """The partition of the caller's key; raises ApiError for a missing or wrong one."""
        if not self._tenants:
            return ""
        scheme, _, key = headers.get("authorization", "").partition(" ")
        given = _digest(key.strip() if scheme.lower() == "bearer" else "")
        # All keys are compared, so that the time does not depend on which one matches.
        matches = [
            name for known, name in self._tenants.items() if hmac.compare_digest(known, given)
        ]
        if matches:
            return matches[0]
        if path in _OPEN or path.startswith(_OPEN_FOLDER):
            return ""
        raise ApiError(
            401,
            "the request has no valid key",
            "send the header Authorization: Bearer KEY",
            headers={"WWW-Authenticate": "Bearer"},
        )


def _headers_alone(send: Send) -> Send:
    """Sends the headers of a reply and ends it; the body is dropped."""

    async def first(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
            await send({"type": "http.response.body", "body": b""})

    return first


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def tenant(key: str) -> str:
    """The partition of a key; it does not reveal the key."""
    return hashlib.sha256(b"tenant:" + key.encode()).hexdigest()[:16]


def _request_id(headers: Headers) -> str:
    stated = headers.get("x-request-id", "")
    return stated if _ID.fullmatch(stated) else f"req_{uuid.uuid4().hex}"


def _check_host(host: str, headers: Headers) -> None:
    """Raise ApiError for the name of another site, which DNS rebinding may point here."""
    stated = _host_name(headers.get("host", ""))
    if stated not in {*LOOPBACK, host}:
        raise ApiError(
            403,
            f"this server does not answer for the host {stated[:100]!r}",
            f"use http://{host} with the port of the server",
        )


def _check_origin(headers: Headers) -> None:
    """Raise ApiError for a request that a page of another site sends."""
    origin = headers.get("origin", "")
    if origin and _netloc(origin) != headers.get("host", "").lower():
        raise ApiError(
            403,
            f"a page of {origin[:100]!r} may not send requests to this server",
            "use the page of this server, or a client that is no web page",
        )


def _netloc(origin: str) -> str | None:
    """Host and port of an origin; None if it has none."""
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


def _host_name(host: str) -> str:
    """The host of a Host header, without its port."""
    name = _PORT.sub("", host.lower())
    return name[1:-1] if name.startswith("[") and name.endswith("]") else name

"""HTTP calls to an OpenAI-compatible server, with retries, rate limits and a concurrency limit."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from forethought.backends.openai.api_keys import KEY_NAMES
from forethought.backends.openai.client import http_client, translated_errors
from forethought.backends.openai.concurrency import ConcurrencyLimit
from forethought.backends.openai.endpoint import Endpoint, Patience
from forethought.backends.openai.errors import RefusedError, TransientError
from forethought.backends.openai.key_scrubber import Scrubber
from forethought.backends.openai.reply import Reply, Size
from forethought.backends.openai.retries import Result, Retries, Sleep
from forethought.contracts.errors import RemoteError

OnDocument = Callable[[Mapping[str, Any]], bool]
"""Consumes one JSON document of a reply; True means that no more is needed."""
_OK = {200, 201, 203}
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529}  # retried
_REFUSALS = {400, 404, 405, 415, 422, 501}
_HINTS = {
    401: f"put the server's key into {KEY_NAMES[0]}",
    403: f"put a key that may use this model into {KEY_NAMES[0]}",
    404: "check the address and the model's name",
    429: "wait, or draw fewer answers at once",
}


@dataclass
class Api:
    """Client of one server with one key, bound to one event loop."""

    endpoint: Endpoint
    key: str = field(default="", repr=False)
    patience: Patience = field(default_factory=Patience)
    rng: random.Random = field(default_factory=random.Random, repr=False)
    """Adds jitter to the waits between attempts."""
    sleep: Sleep = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    scrub: Scrubber = field(init=False, repr=False)
    """Removes the key from every text that the server sends."""
    limit: ConcurrencyLimit = field(init=False, repr=False)
    """Limits the requests in flight."""
    _client: httpx2.AsyncClient = field(init=False, repr=False)
    _paused_until: float = field(default=0.0, init=False)
    """Clock time of the newest Retry-After: no request starts before it."""
    _next_start: float = field(default=0.0, init=False)
    """Clock time at which the rate limit allows the next request."""

    def __post_init__(self) -> None:
        self.scrub = Scrubber(self.key)
        self.limit = ConcurrencyLimit(self.patience.at_once)
        self._client = http_client(self.endpoint, self.key, self.patience)

    async def with_retries(self, attempt: Callable[[], Awaitable[Result]]) -> Result:
        """Repeat an attempt until it succeeds; RemoteError after the last one."""
        try:
            return await Retries(self.patience, self.rng, self.sleep).run(attempt)
        except RemoteError as error:
            failure = self.scrub.error(error)
        # Raised outside the handler: the error's context would keep the unscrubbed reply.
        raise failure

    async def get(self, path: str) -> Any:
        """The JSON document at a path; one attempt."""
        reply, found = self._reply(streamed=False, size=Size()), list[Any]()
        async with self._response("GET", path, None, 0) as response:
            async for chunk in response.aiter_raw():
                found = list(reply.feed(chunk)) or found
            found = list(reply.finish()) or found
        return found[-1] if found else None

    async def post(
        self, path: str, body: Mapping[str, Any], tokens: int, on_document: OnDocument
    ) -> bool:
        """Post a request and pass each document of its reply on; True if `on_document` ended it.

        One attempt. `path` is below the version, or a whole address. `tokens` bounds the reply's
        size and duration. An early end closes the connection.
        """
        async with self._response("POST", path, body, tokens) as response:
            streamed = "event-stream" in response.headers.get("content-type", "").lower()
            reply, parts = self._reply(streamed, Size.of(tokens)), response.aiter_raw()
            async for chunk in parts:
                if any(
                    on_document(self._without_error(document)) for document in reply.feed(chunk)
                ):
                    return True
                if reply.over:
                    await _drain(parts, self.patience.end_seconds)
                    return False
            return any(on_document(self._without_error(document)) for document in reply.finish())

    async def close(self) -> None:
        """End all connections."""
        await self._client.aclose()

    @asynccontextmanager
    async def _response(
        self, method: str, path: str, body: Mapping[str, Any] | None, tokens: int
    ) -> AsyncIterator[httpx2.Response]:
        """Send a request within the rate, concurrency and time limits; yield its response."""
        await self._wait_for_turn()
        # ASCII escapes carry lone surrogates, which UTF-8 cannot encode.
        sent = None if body is None else json.dumps(body).encode("ascii")
        kind = {} if body is None else {"Content-Type": "application/json"}
        where = path if "://" in path else self.endpoint.base + path
        request = self._client.stream(method, where, content=sent, headers=kind)
        with translated_errors(self.endpoint.base):
            async with self.limit.slot(), self._timeout(tokens), request as response:
                await self._check(response)
                yield response

    def _timeout(self, tokens: int) -> asyncio.Timeout:
        return asyncio.timeout(self.patience.longest_reply(tokens))

    def _reply(self, streamed: bool, size: Size) -> Reply:
        return Reply(self.endpoint.base, self.scrub, size, streamed)

    async def _wait_for_turn(self) -> None:
        """Sleep until the rate limit and the last Retry-After allow a request."""
        now = self.clock()
        at = max(now, self._paused_until, self._next_start)
        if self.patience.per_minute is not None:
            self._next_start = at + 60 / self.patience.per_minute
        if at > now:
            await self.sleep(at - now)

    async def _check(self, response: httpx2.Response) -> None:
        """Raise the error that fits an unsuccessful status code."""
        code, base = response.status_code, self.endpoint.base
        if code in _OK:
            return self._check_uncompressed(response)
        if code < 300:
            raise RemoteError(f"{base} answered {code} without a reply", "check the address")
        if code < 400:
            raise RemoteError(
                f"{base} redirects to "
                f"{self._one_line(response.headers.get('location', 'nowhere'))}",
                "redirects are not followed: give that address with -m, if you trust it",
            )
        said = self._error_text(await _first_bytes(response))
        message = f"{base} answered {code}: {said or self._one_line(response.reason_phrase)}"
        hint = _HINTS.get(code, "see the server's log")
        if code not in _TRANSIENT:
            raise (RefusedError if code in _REFUSALS else RemoteError)(message, hint)
        wait = retry_after_seconds(response.headers.get("retry-after", ""))
        if wait <= self.patience.longest_asked:
            self._paused_until = max(self._paused_until, self.clock() + wait)
        raise TransientError(message, hint, wait=wait)

    def _check_uncompressed(self, response: httpx2.Response) -> None:
        coding = response.headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("", "identity"):
            raise RemoteError(
                f"{self.endpoint.base} compresses its replies ({self._one_line(coding)}), which no "
                "request accepts",
                "turn compression off in the server, or in the proxy before it",
            )

    def _without_error(self, document: Any) -> Mapping[str, Any]:
        """The document; TransientError where it reports an error in mid-reply."""
        if not isinstance(document, dict):
            raise RemoteError(
                f"{self.endpoint.base} sent invalid JSON: no object", "check the address"
            )
        if document.get("error"):
            raise TransientError(
                f"{self.endpoint.base} sent an error in an answer: {self._error_field(document)}",
                "see the server's log",
            )
        return document

    def _error_text(self, body: bytes) -> str:
        """The server's error message, in one short line."""
        text = body.decode("utf-8", "replace")
        try:
            return self._error_field(self._reply(streamed=False, size=Size()).parse(text))
        except RemoteError:
            return self._one_line(text)

    def _error_field(self, found: Any) -> str:
        for name in ("error", "message", "detail"):
            if isinstance(found, dict) and found.get(name):
                found = found[name]
        return self._one_line(found if isinstance(found, str) else json.dumps(found))

    def _one_line(self, text: str) -> str:
        return " ".join(self.scrub.text(text).split())[:300]


_ERROR_BYTES = 64 << 10
"""Bytes read of an error response."""


async def _first_bytes(response: httpx2.Response) -> bytes:
    """The first bytes of an error response."""
    found = bytearray()
    async for chunk in response.aiter_raw():
        found += chunk
        if len(found) >= _ERROR_BYTES:
            break
    return bytes(found[:_ERROR_BYTES])


async def _drain(body: AsyncIterator[bytes], seconds: float) -> None:
    """Read a body to its end for at most `seconds`, so that its connection can be reused."""
    try:
        async with asyncio.timeout(seconds):
            for _ in range(64):
                if not await anext(body, b""):
                    return
    except TimeoutError:
        pass


def retry_after_seconds(text: str) -> float:
    """Seconds in a Retry-After header, given as a number or a date; 0 if neither."""
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(text)
        whole = date if date.tzinfo else date.replace(tzinfo=UTC)
        return max(0.0, (whole - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):
        return 0.0

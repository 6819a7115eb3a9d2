"""Calls to a server of the OpenAI kind: patient, and never more at once than it may be asked."""

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
from typing import Any, TypeVar

import httpx2

from forethought.backends.openai.api_keys import KEY_NAMES
from forethought.backends.openai.client import client_of, reported
from forethought.backends.openai.concurrency import ConcurrencyLimit
from forethought.backends.openai.endpoint import Endpoint, Patience
from forethought.backends.openai.errors import PassingError, RefusedError
from forethought.backends.openai.key_scrubber import Scrubber
from forethought.backends.openai.reply import Reply, Size
from forethought.contracts.errors import RemoteError

Found = TypeVar("Found")
Sleep = Callable[[float], Awaitable[object]]
Take = Callable[[Mapping[str, Any]], bool]
"""Takes a document in, and says whether that is enough."""
_ANSWERS = {200, 201, 203}
_PASSING = {408, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529}  # worth another attempt
_REFUSALS = {400, 404, 405, 415, 422, 501}
_HINTS = {
    401: f"put the server's key into {KEY_NAMES[0]}",
    403: f"put a key that may use this model into {KEY_NAMES[0]}",
    404: "check the address and the model's name",
    429: "wait, or draw fewer answers at once",
}


@dataclass
class Api:
    """One server, reached with one key, from within one event loop."""

    endpoint: Endpoint
    key: str = field(default="", repr=False)
    patience: Patience = field(default_factory=Patience)
    rng: random.Random = field(default_factory=random.Random, repr=False)
    """Spreads the attempts of many who were refused at once."""
    sleep: Sleep = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    scrub: Scrubber = field(init=False, repr=False)
    """Every text from the server goes through it."""
    places: ConcurrencyLimit = field(init=False, repr=False)
    """For requests on their way."""
    _client: httpx2.AsyncClient = field(init=False, repr=False)
    _closed_until: float = field(default=0.0, init=False)
    """By the clock: the server asked to be left alone until then."""
    _next: float = field(default=0.0, init=False)
    """By the clock: when the next request may begin."""

    def __post_init__(self) -> None:
        self.scrub = Scrubber(self.key)
        self.places = ConcurrencyLimit(self.patience.at_once)
        self._client = client_of(self.endpoint, self.key, self.patience)

    async def patiently(self, attempt: Callable[[], Awaitable[Found]]) -> Found:
        """What an attempt gives, however many it takes; RemoteError where none goes well."""
        try:
            return await self._tried(attempt)
        except RemoteError as error:
            failure = self.scrub.error(error)
        # Raised here it has no context, in which what the server sent would live on.
        raise failure

    async def _tried(self, attempt: Callable[[], Awaitable[Found]]) -> Found:
        most, number = self.patience.attempts, 0
        while True:
            number += 1
            try:
                return await attempt()
            except PassingError as error:
                number -= error.crowded
                if number >= most or error.wait > self.patience.longest_asked:
                    times = f" ({number} attempts)" if number > 1 else ""
                    raise RemoteError(f"{error.message}{times}", error.hint) from None
                # What the server asks for is waited for before its next request, whoever sends it.
                await self.sleep(self._back_off(max(1, number)))

    async def get(self, path: str) -> Any:
        """The document at a path; one attempt."""
        reply, found = self._reply(streamed=False, size=Size()), list[Any]()
        async with self._answered("GET", path, None, 0) as response:
            async for chunk in response.aiter_raw():
                found = list(reply.feed(chunk)) or found
            found = list(reply.finish()) or found
        return found[-1] if found else None

    async def post(self, path: str, body: Mapping[str, Any], tokens: int, take: Take) -> bool:
        """Hear an answer of so many tokens, streamed or whole; whether it was enough early.

        One attempt. Where it is enough, the connection is closed.
        """
        async with self._answered("POST", path, body, tokens) as response:
            streamed = "event-stream" in response.headers.get("content-type", "").lower()
            reply, parts = self._reply(streamed, Size.of(tokens)), response.aiter_raw()
            async for chunk in parts:
                if any(take(self._sound(document)) for document in reply.feed(chunk)):
                    return True
                if reply.over:
                    await _to_the_end(parts, self.patience.end_seconds)
                    return False
            return any(take(self._sound(document)) for document in reply.finish())

    async def close(self) -> None:
        """End all connections."""
        await self._client.aclose()

    @asynccontextmanager
    async def _answered(
        self, method: str, path: str, body: Mapping[str, Any] | None, tokens: int
    ) -> AsyncIterator[httpx2.Response]:
        """The response to a request, in its place and within its time."""
        await self._turn()
        # Escaped: half a character in a question is for the server to judge.
        sent = None if body is None else json.dumps(body).encode("ascii")
        kind = {} if body is None else {"Content-Type": "application/json"}
        request = self._client.stream(method, self.endpoint.base + path, content=sent, headers=kind)
        with reported(self.endpoint.base):
            async with self.places.one(), self._timed(tokens), request as response:
                await self._check(response)
                yield response

    def _timed(self, tokens: int) -> asyncio.Timeout:
        return asyncio.timeout(self.patience.longest_reply(tokens))

    def _reply(self, streamed: bool, size: Size) -> Reply:
        return Reply(self.endpoint.base, self.scrub, size, streamed)

    def _back_off(self, number: int) -> float:
        wait: float = min(self.patience.longest_wait, self.patience.first_wait * 2 ** (number - 1))
        return wait * self.rng.uniform(0.5, 1.0)

    async def _turn(self) -> None:
        """Wait until the server may be asked."""
        now = self.clock()
        at = max(now, self._closed_until, self._next)
        if self.patience.per_minute is not None:
            self._next = at + 60 / self.patience.per_minute
        if at > now:
            await self.sleep(at - now)

    async def _check(self, response: httpx2.Response) -> None:
        """Raise for all that is no answer."""
        code, base = response.status_code, self.endpoint.base
        if code in _ANSWERS:
            return self._check_plain(response)
        if code < 300:
            raise RemoteError(f"{base} answered {code}, which is no answer", "check the address")
        if code < 400:
            raise RemoteError(
                f"{base} sends its callers on to "
                f"{self._said(response.headers.get('location', 'nowhere'))}",
                "redirects are not followed: name that address, if you trust it",
            )
        said = self._complaint(await _beginning(response))
        message = f"{base} answered {code}: {said or self._said(response.reason_phrase)}"
        hint = _HINTS.get(code, "see the server's log")
        if code not in _PASSING:
            raise (RefusedError if code in _REFUSALS else RemoteError)(message, hint)
        wait = asked_wait(response.headers.get("retry-after", ""))
        if wait <= self.patience.longest_asked:
            self._closed_until = max(self._closed_until, self.clock() + wait)
        raise PassingError(message, hint, wait=wait)

    def _check_plain(self, response: httpx2.Response) -> None:
        coding = response.headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("", "identity"):
            raise RemoteError(
                f"{self.endpoint.base} packs its replies ({self._said(coding)}) without being "
                "asked to",
                "turn compression off in the server, or in the proxy before it",
            )

    def _sound(self, document: Any) -> Mapping[str, Any]:
        """The document, unless it tells of an error in the midst of an answer."""
        if not isinstance(document, dict):
            raise RemoteError(f"{self.endpoint.base} sent no JSON object", "check the address")
        if document.get("error"):
            raise PassingError(
                f"{self.endpoint.base} gave up on an answer: {self._shown(document)}",
                "see the server's log",
            )
        return document

    def _complaint(self, body: bytes) -> str:
        """What a server says is wrong, in one short line."""
        text = body.decode("utf-8", "replace")
        try:
            return self._shown(self._reply(streamed=False, size=Size()).parsed(text))
        except RemoteError:
            return self._said(text)

    def _shown(self, found: Any) -> str:
        for name in ("error", "message", "detail"):
            if isinstance(found, dict) and found.get(name):
                found = found[name]
        return self._said(found if isinstance(found, str) else json.dumps(found))

    def _said(self, text: str) -> str:
        return " ".join(self.scrub.text(text).split())[:300]


_COMPLAINT = 64 << 10
"""Bytes that are read of what a server says is wrong."""


async def _beginning(response: httpx2.Response) -> bytes:
    """The first of a body that is read by people."""
    found = bytearray()
    async for chunk in response.aiter_raw():
        found += chunk
        if len(found) >= _COMPLAINT:
            break
    return bytes(found[:_COMPLAINT])


async def _to_the_end(body: AsyncIterator[bytes], seconds: float) -> None:
    """Wait a moment for the end of a body: heard to it, a connection can be used again."""
    try:
        async with asyncio.timeout(seconds):
            for _ in range(64):
                if not await anext(body, b""):
                    return
    except TimeoutError:
        pass


def asked_wait(text: str) -> float:
    """Seconds of a Retry-After header, which may name a date; 0 where it says nothing."""
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

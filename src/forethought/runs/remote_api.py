"""Calls to a server of the OpenAI kind: patient, and never more at once than it may be asked."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from forethought.contracts.errors import BadParameterError, RemoteError
from forethought.runs.remote_places import Places

Found = TypeVar("Found")
Sleep = Callable[[float], Awaitable[object]]
KEY_NAMES = ("FORETHOUGHT_API_KEY", "OPENAI_API_KEY")  # looked at in this order
_PASSING = {408, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529}  # worth another attempt
_REFUSALS = {400, 404, 405, 415, 422, 501}
_SPELLED = "write it http://host:port/v1#model"
_HINTS = {
    401: f"put the server's key into {KEY_NAMES[0]}",
    403: f"put a key that may use this model into {KEY_NAMES[0]}",
    404: "check the address and the model's name",
    429: "wait, or draw fewer answers at once",
}


class PassingError(RemoteError):
    """What may go well another time."""

    def __init__(self, message: str, hint: str = "", *, wait: float = 0.0) -> None:
        super().__init__(message, hint)
        self.wait = wait
        """Seconds that the server asks to be left alone."""
        self.crowded = False
        """Whether it went wrong for the sake of other requests, of which there are fewer now."""


class SilentError(PassingError):
    """Nothing was heard for too long: perhaps others were served first."""


class RefusedError(RemoteError):
    """The server does not do what it was asked for."""


@dataclass(frozen=True)
class Endpoint:
    """Where a server is, and which of its models is meant."""

    base: str
    """Address up to the version, without a slash behind it."""
    model: str = ""
    """Empty for the first that the server names."""

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """The endpoint that `http://host:port/v1#model` spells; `/v1` may be left out."""
        try:
            parts = urlsplit(text.strip())
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise BadParameterError(f"the address {text!r}: {error}", _SPELLED) from None
        if parts.username is not None or parts.password is not None:
            # What is spelled is stored and shown; a password in it would be, too.
            raise BadParameterError(
                "an address may not hold a name and password", f"put a key into {KEY_NAMES[0]}"
            )
        if parts.scheme not in ("http", "https") or not host or parts.query:
            raise BadParameterError(f"{text!r} is no address of a model's server", _SPELLED)
        path = parts.path.rstrip("/") or "/v1"
        return cls(f"{parts.scheme}://{parts.netloc}{path}", parts.fragment)

    @property
    def local(self) -> bool:
        """Whether the server is on this machine."""
        host = urlsplit(self.base).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


@dataclass(frozen=True)
class Patience:
    """How long and how often a server is asked."""

    attempts: int = 6
    """Times that a request is sent, at most."""
    first_wait: float = 0.5
    """Seconds before the second attempt; doubled before each later one."""
    longest_wait: float = 30.0
    """Seconds, where the server asks for no other."""
    longest_asked: float = 600.0
    """Seconds the server may ask for; beyond them it is given up."""
    connect_seconds: float = 10.0
    silence_seconds: float = 120.0
    """Without a byte for so long, a connection counts as lost."""
    at_once: int = 16
    """Requests on their way to the host at once."""
    per_minute: float | None = None
    """Requests begun in a minute, evenly spaced; None where there is no limit."""


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
    _client: httpx.AsyncClient = field(init=False, repr=False)
    places: Places = field(init=False, repr=False)
    """For requests on their way."""
    _closed_until: float = field(default=0.0, init=False)
    """By the clock: the server asked to be left alone until then."""
    _next: float = field(default=0.0, init=False)
    """By the clock: when the next request may begin."""

    def __post_init__(self) -> None:
        patience = self.patience
        self.places = Places(patience.at_once)
        self._client = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {self.key}"} if self.key else {},
            timeout=httpx.Timeout(
                patience.silence_seconds, connect=patience.connect_seconds, pool=None
            ),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=patience.at_once),
            # A redirect could carry the key and the question to another host.
            follow_redirects=False,
            # Certificates take long to read, and nothing shows one without encryption.
            verify=self.endpoint.base.startswith("https:"),
            trust_env=not self.endpoint.local,
        )

    async def patiently(self, attempt: Callable[[], Awaitable[Found]]) -> Found:
        """What an attempt gives, however many it takes; RemoteError where none goes well."""
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
        await self._turn()
        with self._reported():
            async with self.places.one():
                response = await self._client.get(self.endpoint.base + path)
                await self._check(response)
                return response.json()

    async def events(
        self, path: str, body: Mapping[str, Any]
    ) -> AsyncGenerator[dict[str, Any], None]:
        """What is streamed back; or the whole, where the server does not stream. One attempt.

        Whoever stops listening early closes this, which closes the connection.
        """
        await self._turn()
        with self._reported():
            async with (
                self.places.one(),
                self._client.stream("POST", self.endpoint.base + path, json=body) as response,
            ):
                await self._check(response)
                if "event-stream" not in response.headers.get("content-type", ""):
                    yield self._sound(json.loads(await response.aread()))
                    return
                async for line in response.aiter_lines():
                    data = line.removeprefix("data:").strip() if line.startswith("data:") else ""
                    # Heard to its very end, a connection can be used again.
                    if data and data != "[DONE]":
                        yield self._sound(json.loads(data))

    async def close(self) -> None:
        """End all connections."""
        await self._client.aclose()

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

    async def _check(self, response: httpx.Response) -> None:
        """Raise for all that is no answer."""
        code = response.status_code
        if code < 300:
            return
        if code < 400:
            raise RemoteError(
                f"{self.endpoint.base} sends its callers on to "
                f"{self._said(response.headers.get('location', 'nowhere'))}",
                "redirects are not followed: name that address, if you trust it",
            )
        said = self._complaint(await response.aread())
        message = f"{self.endpoint.base} answered {code}: {said or response.reason_phrase}"
        hint = _HINTS.get(code, "see the server's log")
        if code not in _PASSING:
            raise (RefusedError if code in _REFUSALS else RemoteError)(message, hint)
        wait = _asked_wait(response.headers.get("retry-after", ""))
        if wait <= self.patience.longest_asked:
            self._closed_until = max(self._closed_until, self.clock() + wait)
        raise PassingError(message, hint, wait=wait)

    def _sound(self, document: Any) -> dict[str, Any]:
        """The document, unless it tells of an error in the midst of an answer."""
        if not isinstance(document, dict):
            raise RemoteError(f"{self.endpoint.base} sent no JSON object", "check the address")
        if document.get("error"):
            said = self._complaint(json.dumps(document).encode())
            raise PassingError(
                f"{self.endpoint.base} gave up on an answer: {said}", "see the server's log"
            )
        return document

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Turn what a connection may suffer into our errors."""
        base = self.endpoint.base
        try:
            yield
        except httpx.TimeoutException as error:
            raise SilentError(
                f"{base} was silent for too long ({type(error).__name__})",
                "check that the server is up, or wait longer",
            ) from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            said = self._said(str(error)) or type(error).__name__
            raise PassingError(
                f"the connection to {base} failed: {said}",
                "check the address, and that the server is up",
            ) from None
        except json.JSONDecodeError:
            raise PassingError(f"{base} sent what is no JSON", "check the address") from None

    def _complaint(self, body: bytes) -> str:
        """What a server says is wrong, in one short line."""
        text = body.decode("utf-8", "replace")
        try:
            found = json.loads(text)
        except json.JSONDecodeError:
            return self._said(text)
        for name in ("error", "message", "detail"):
            if isinstance(found, dict) and found.get(name):
                found = found[name]
        return self._said(found if isinstance(found, str) else json.dumps(found))

    def _said(self, text: str) -> str:
        hidden = text.replace(self.key, "***") if self.key else text
        return " ".join(hidden.split())[:300]


def key_of(environ: Mapping[str, str] = os.environ) -> str:
    """The key to show to servers; empty where there is none."""
    return next((environ[name] for name in KEY_NAMES if environ.get(name)), "")


def _asked_wait(text: str) -> float:
    """Seconds of a Retry-After header, which may name a date; 0 where it says nothing."""
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    whole = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (whole - datetime.now(UTC)).total_seconds())

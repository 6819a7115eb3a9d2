"""A server's address, and the limits on time and retries."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from forethought.backends.openai.api_keys import KEY_NAMES
from forethought.contracts.errors import BadParameterError

_SPELLED = "write it http://host:port/v1#model"
_LONGEST = 253
"""Characters of a host name."""
_NEXT = re.compile(r",(?=\s*https?://)")
"""Between two addresses; the name of a model may hold commas too."""


@dataclass(frozen=True)
class Endpoint:
    """The address of a server and the name of a model on it."""

    base: str
    """The address up to the version, without a trailing slash."""
    model: str = ""
    """Empty for the first model that the server lists."""

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Parse `http://host:port/v1#model`; `/v1` is the default path."""
        if "@" in text.partition("#")[0]:
            # Addresses are stored and shown, and a password would be as well.
            raise BadParameterError(
                "an address may not hold a name and password", f"put a key into {KEY_NAMES[0]}"
            )
        try:
            parts = urlsplit(text.strip())
            host, _ = parts.hostname or "", parts.port
            host.encode("idna")
        except ValueError as error:
            raise BadParameterError(f"the address {text!r}: {error}", _SPELLED) from None
        if parts.query:
            raise BadParameterError(f"the address {text.partition('?')[0]!r} has a query", _SPELLED)
        known = parts.scheme in ("http", "https")
        if not known or not host or len(host) > _LONGEST or "," in parts.netloc:
            raise BadParameterError(f"{text!r} is not the address of a server", _SPELLED)
        path = parts.path.rstrip("/") or "/v1"
        if not (parts.netloc + path).isprintable() or " " in parts.netloc + path:
            raise BadParameterError(f"the address {text!r} holds blanks", _SPELLED)
        return cls(f"{parts.scheme}://{parts.netloc}{path}", parts.fragment)

    @property
    def root(self) -> str:
        """The address without its version."""
        return self.base.removesuffix("/v1")

    @property
    def local(self) -> bool:
        """Whether the host is this machine."""
        host = urlsplit(self.base).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


def endpoints_of(text: str) -> tuple[Endpoint, ...]:
    """The endpoints of a model: `http://a/v1,http://b/v1#model`, in any order.

    One name after a # holds for all. Raises BadParameterError for an invalid address, and for two
    names.
    """
    found = [Endpoint.parse(part) for part in _NEXT.split(text.strip())]
    names = sorted({one.model for one in found if one.model})
    if len(names) > 1:
        raise BadParameterError(
            f"the addresses name {' and '.join(map(repr, names))}, and requests go to any of them",
            "name one model: http://a/v1,http://b/v1#model",
        )
    bases = sorted({one.base for one in found})
    return tuple(Endpoint(base, *names) for base in bases)


def spelled(endpoints: Sequence[Endpoint], model: str) -> str:
    """The addresses of a model as text, equal for equal endpoints."""
    return f"{','.join(one.base for one in endpoints)}#{model}"


@dataclass(frozen=True)
class Patience:
    """Limits on retries, waits, durations and request rates."""

    attempts: int = 6
    """Most attempts per request."""
    first_wait: float = 0.5
    """Seconds before the second attempt; doubled for each later one."""
    longest_wait: float = 30.0
    """Most seconds between attempts, where the server sends no Retry-After."""
    longest_asked: float = 600.0
    """Longest Retry-After that is obeyed, in seconds; the request fails beyond it."""
    connect_seconds: float = 10.0
    silence_seconds: float = 120.0
    """A connection without a byte for this long counts as lost."""
    reply_seconds: float = 900.0
    """Time limit of a reply; `token_seconds` per requested token are added."""
    token_seconds: float = 5.0
    end_seconds: float = 1.0
    """Time to wait for a connection's end once the reply is complete."""
    at_once: int = 16
    """Most requests in flight per host."""
    per_minute: float | None = None
    """Most requests started per minute, evenly spaced; None for no limit."""

    def longest_reply(self, tokens: int) -> float:
        """Time limit in seconds of a reply of so many tokens."""
        return self.reply_seconds + self.token_seconds * tokens

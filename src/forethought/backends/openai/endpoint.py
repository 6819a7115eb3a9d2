"""Where a server is, and how patiently it is asked."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from forethought.backends.openai.api_keys import KEY_NAMES
from forethought.contracts.errors import BadParameterError

_SPELLED = "write it http://host:port/v1#model"
_LONGEST = 253
"""Letters of a host's name."""


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
        if "@" in text.partition("#")[0]:
            # What is spelled is stored and shown; a password in it would be, too.
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
            raise BadParameterError(
                f"the address {text.partition('?')[0]!r} goes on with a query", _SPELLED
            )
        if parts.scheme not in ("http", "https") or not host or len(host) > _LONGEST:
            raise BadParameterError(f"{text!r} is no address of a model's server", _SPELLED)
        path = parts.path.rstrip("/") or "/v1"
        if not (parts.netloc + path).isprintable() or " " in parts.netloc + path:
            raise BadParameterError(f"the address {text!r} holds blanks", _SPELLED)
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
    reply_seconds: float = 900.0
    """A reply ends after so long, and `token_seconds` for each token asked for."""
    token_seconds: float = 5.0
    end_seconds: float = 1.0
    """The end of a connection's reply is waited for so long once all of it was said."""
    at_once: int = 16
    """Requests on their way to the host at once."""
    per_minute: float | None = None
    """Requests begun in a minute, evenly spaced; None where there is no limit."""

    def longest_reply(self, tokens: int) -> float:
        """Seconds that a reply of so many tokens may take."""
        return self.reply_seconds + self.token_seconds * tokens

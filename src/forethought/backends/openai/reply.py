"""Parses a reply within limits of size: chunks of bytes to JSON documents, whole or streamed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from forethought.backends.openai.errors import TransientError
from forethought.backends.openai.event_stream import (
    BYTE_ORDER_MARK,
    EventStream,
    WholeBody,
    begins_events,
)
from forethought.backends.openai.key_scrubber import Scrubber
from forethought.backends.openai.shape import ShapeError
from forethought.contracts.errors import RemoteError

_MIB = 1 << 20
_VALUES = 600_000
"""Most values of a document: as Python objects each takes about 200 bytes."""
_START = len(b"event:")
"""Bytes that show whether a body is a document or events."""
_ENDED = "[DONE]"


@dataclass(frozen=True)
class Size:
    """Size limits of a reply."""

    document: int = 8 * _MIB
    """Bytes of one document or event."""
    stream: int = 8 * _MIB
    """Bytes of the whole stream."""

    @classmethod
    def of(cls, tokens: int) -> Size:
        """Limits for an answer of so many tokens: each comes in an envelope with its
        alternatives."""
        return cls(min(8 * _MIB, _MIB + 1024 * tokens), _MIB + 16384 * tokens)


@dataclass
class Reply:
    """Parses chunks of bytes into documents without the key.

    Raises RemoteError for oversized replies, and TransientError for invalid JSON.
    """

    base: str
    """The server's address, for error messages."""
    scrub: Scrubber
    size: Size
    streamed: bool
    """Whether the content type announces server-sent events."""
    over: bool = False
    """Whether the server sent its end marker."""
    _held: bytes = b""
    """Bytes that came before the kind of body was known."""
    _body: EventStream | WholeBody | None = None
    _taken: int = 0

    def feed(self, chunk: bytes) -> Iterator[Any]:
        """The documents that end in this chunk."""
        self._taken += len(chunk)
        if self._body is None:
            chunk = self._begin(self._held + chunk, last=False)
        if self._body is not None:
            yield from self._documents(self._body.feed(chunk))
        self._check_size()

    def finish(self) -> Iterator[Any]:
        """The documents that the end of the body completes."""
        if self._body is None:
            yield from self.feed(self._begin(self._held, last=True))
        assert self._body is not None, "begun with its last byte"
        yield from self._documents(self._body.finish())

    def _begin(self, start: bytes, *, last: bool) -> bytes:
        """The bytes so far, once they show what kind of body follows; empty before."""
        start = start.removeprefix(BYTE_ORDER_MARK).lstrip()
        if len(start) < _START and not last:
            self._held = start
            return b""
        said = self.streamed and start[:1] not in (b"{", b"[")
        most = self.size.document
        self._body = EventStream(most) if said or begins_events(start) else WholeBody(most)
        return start

    def _check_size(self) -> None:
        long = self._body is not None and self._body.too_long
        most = self.size.document if long else self.size.stream
        if long or self._taken > most:
            raise RemoteError(
                f"{self.base} sent more than the {most:,} bytes that its reply may have",
                "check that it is the address of an OpenAI-compatible server",
            )

    def _documents(self, events: Iterator[str]) -> Iterator[Any]:
        for data in events:
            self.over = self.over or data.strip() == _ENDED
            if self.over:
                return
            yield from map(self.parse, _split_documents(data))

    def parse(self, text: str) -> Any:
        """Parse one document and scrub the key from it."""
        if sum(map(text.count, ",[{")) > _VALUES:
            raise RemoteError(
                f"{self.base} sent a document of more than {_VALUES:,} values",
                "lower the token limit, or check the address",
            )
        try:
            return self.scrub.document(json.loads(text))
        except ShapeError as error:
            raise RemoteError(
                f"{self.base} sent a malformed answer: {error}", "check the address"
            ) from None
        except (ValueError, RecursionError):  # ValueError also for numbers of thousands of digits
            said = " ".join(self.scrub.text(text[:1000]).split())[:80]
            shown = f": {said}" if said else ""
            raise TransientError(
                f"{self.base} sent invalid JSON{shown}", "check the address"
            ) from None


def _split_documents(data: str) -> list[str]:
    """The documents of an event; some servers put one on each of its lines."""
    lines = [line for line in data.split("\n") if line.strip()]
    if len(lines) > 1 and all(line.lstrip().startswith(("{", _ENDED)) for line in lines):
        try:
            json.loads(data)
        except (ValueError, RecursionError):
            return [line for line in lines if line.strip() != _ENDED]
    return [data] if lines else []

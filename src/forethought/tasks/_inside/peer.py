"""One side of the protocol between the tests and the program."""

from __future__ import annotations

import builtins
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Protocol

from .values import MalformedError, packed, unpacked

_LONGEST = 64 << 20
"""Most bytes of a message."""


OUT_OF_TIME = 128 + 24
"""Exit code of a process that exceeded its processor time."""


class EndedError(BaseException):
    """The other side ended or broke the protocol; not an Exception, so no test catches it."""

    code = 1
    """Exit code, as far as it is known."""


class CannotBeSharedError(BaseException):
    """A value that cannot be sent, not even by reference."""


class ProgramError(Exception):
    """The other side raised an error that is not built in."""


class Serving(Protocol):
    """Handles the other side's requests."""

    def shares(self, value: Any) -> bool:
        """Whether the value may be sent by reference."""
        ...

    def do(self, request: str, *arguments: Any) -> Any:
        """Execute a request and return its result."""
        ...


class Peer:
    """Exchanges values and requests with the other side over two pipes."""

    def __init__(self, reads: int, writes: int, serving: Serving) -> None:
        self._reads = os.fdopen(reads, "rb")
        self._writes = writes
        self._serving = serving
        self._shared: list[Any] = []
        self.asked = 0
        """Number of requests sent."""
        self.raised: Exception | None = None
        """Last error raised by the other side."""

    def ask(self, request: str, *arguments: Any) -> Any:
        """Send a request and return its result, or raise the other side's error."""
        self._send({"ask": request, "of": [self._packed(one) for one in arguments]})
        self.asked += 1
        while True:
            message = self._received()
            match message:
                case {"ask": str(wanted), "of": list(given)}:
                    self._answer(wanted, given)
                case {"error": str(name), "text": str(text)}:
                    self.raised = _error(name, text)
                    raise self.raised
                case {"ended": int(code)}:
                    error = EndedError("the program ended")
                    error.code = code
                    raise error
                case {"value": value}:
                    return self._unpacked(value)
                case _:
                    raise EndedError(f"no answer: {message!r:.80}")

    def serve(self) -> None:
        """Handle requests until the other side ends."""
        while True:
            match self._received():
                case {"ask": str(wanted), "of": list(given)}:
                    self._answer(wanted, given)

    def _answer(self, request: str, given: list[Any]) -> None:
        try:
            value = self._serving.do(request, *map(self._unpacked, given))
            answer = {"value": self._packed(value)}
            line = _line(answer)
        except (EndedError, CannotBeSharedError):
            raise
        # The program may raise anything, SystemExit included; forward it.
        except BaseException as error:
            line = _line({"error": type(error).__name__, "text": _text(error)})
        self._write(line)

    def _packed(self, value: Any) -> Any:
        return packed(value, self._reference)

    def _unpacked(self, found: Any) -> Any:
        try:
            return unpacked(found, self._referred)
        except (MalformedError, RecursionError) as error:
            raise EndedError(str(error)) from error

    def _reference(self, value: Any) -> Any:
        if type(value) is Remote:
            return {"yours": value._number}
        if not self._serving.shares(value):
            raise CannotBeSharedError(f"a value of type {type(value).__name__}")
        self._shared.append(value)
        return {"mine": len(self._shared) - 1}

    def _referred(self, side: str, number: int) -> Any:
        if side == "mine":
            return Remote(self, number)
        if not 0 <= number < len(self._shared):
            raise MalformedError(f"nothing was shared as {number}")
        return self._shared[number]

    def _send(self, message: Any) -> None:
        self._write(_line(message))

    def _write(self, line: bytes) -> None:
        try:
            while line:
                line = line[os.write(self._writes, line) :]
        except OSError as error:
            raise EndedError("the other side ended") from error

    def _received(self) -> Any:
        while (line := self._reads.readline(_LONGEST)) == b"\n":
            continue
        if not line.endswith(b"\n"):
            raise EndedError("the other side ended")
        try:
            return json.loads(line)
        except (ValueError, RecursionError) as error:
            raise EndedError(f"no message: {line!r:.80}") from error


def report_end(writes: int, code: int) -> None:
    """Report the exit code of an ended process; a newline first ends its partial message."""
    with suppress(OSError):
        os.write(writes, b"\n" + _line({"ended": code}))


class Remote:
    """A reference to an object of the other side; it equals only itself."""

    __slots__ = ("_number", "_peer")

    def __init__(self, peer: Peer, number: int) -> None:
        self._peer = peer
        self._number = number

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call it; if it returns None, mutable arguments are updated to their state afterwards."""
        value, after = self._peer.ask("call", self, arguments, named)
        for old, new in zip(arguments, after, strict=False):
            _change(old, new)
        return value

    def __getattr__(self, name: str) -> Any:
        """Get an attribute, except dunder attributes."""
        if name.startswith("__"):
            raise AttributeError(name)
        return self._peer.ask("attribute", self, name)

    def __iter__(self) -> Iterator[Any]:
        """Iterate lazily over the remote object."""
        steps: Iterator[Any] = self._peer.ask("iterate", self)
        return steps

    def __next__(self) -> Any:
        return self._peer.ask("next", self)

    def __getitem__(self, key: Any) -> Any:
        """Get an item."""
        return self._peer.ask("item", self, key)

    def __len__(self) -> int:
        return int(self._peer.ask("length", self))

    def __bool__(self) -> bool:
        return self._peer.ask("truth", self) is True


def _change(old: Any, new: Any) -> None:
    """Update a mutable argument in place to its state on the other side."""
    if type(old) is not type(new):
        return
    if type(old) in (list, bytearray):
        old[:] = new
    elif type(old) in (dict, set):
        old.clear()
        old.update(new)


def _line(message: Any) -> bytes:
    return json.dumps(message).encode() + b"\n"


def _text(error: BaseException) -> str:
    try:
        return str(error)[:1000]
    # A program's own exception may fail in __str__.
    except BaseException:
        return ""


def _error(name: str, text: str) -> Exception:
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        try:
            return kind(text)
        except TypeError:  # its constructor needs more arguments, such as UnicodeDecodeError
            return ProgramError(f"{name}: {text}")
    return ProgramError(f"{name}: {text}")

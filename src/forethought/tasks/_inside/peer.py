"""One side of the conversation between the tests and the program."""

from __future__ import annotations

import builtins
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Protocol

from .values import MalformedError, packed, unpacked

_LONGEST = 64 << 20
"""Bytes of a message."""


OUT_OF_TIME = 128 + 24
"""How a process ends that used up its processor time."""


class EndedError(BaseException):
    """The other side ended, or talks nonsense; no test may catch this as an error of its own."""

    code = 1
    """How it ended, as far as it is known."""


class CannotBeSharedError(BaseException):
    """A value that the other side cannot get, not even a reference to it."""


class ProgramError(Exception):
    """The other side raised something that is no error of Python's own."""


class Serving(Protocol):
    """What a side does at the other one's request."""

    def shares(self, value: Any) -> bool:
        """Whether a reference to the value may be handed out."""
        ...

    def do(self, request: str, *arguments: Any) -> Any:
        """The result of a request."""
        ...


class Peer:
    """Sends values and requests through one pipe, and gets those of the other side from another."""

    def __init__(self, reads: int, writes: int, serving: Serving) -> None:
        self._reads = os.fdopen(reads, "rb")
        self._writes = writes
        self._serving = serving
        self._shared: list[Any] = []
        self.asked = 0
        """Requests sent so far."""
        self.raised: Exception | None = None
        """What the other side raised last."""

    def ask(self, request: str, *arguments: Any) -> Any:
        """What the other side answers; raises what it raised."""
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
        """Answer requests until the other side ends."""
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
        # The program may raise anything, its own exits included; the other side is told.
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


def tell_of_end(writes: int, code: int) -> None:
    """Tell the other side, for a process that ended, how it did; whatever it left half said."""
    with suppress(OSError):
        os.write(writes, b"\n" + _line({"ended": code}))


class Remote:
    """Something of the other side: it can be used there, and equals itself alone."""

    __slots__ = ("_number", "_peer")

    def __init__(self, peer: Peer, number: int) -> None:
        self._peer = peer
        self._number = number

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call it; where that returns None, lists and the like may have been changed."""
        value, after = self._peer.ask("call", self, arguments, named)
        for old, new in zip(arguments, after, strict=False):
            _change(old, new)
        return value

    def __getattr__(self, name: str) -> Any:
        """Its attribute; those that Python itself looks up are not there."""
        if name.startswith("__"):
            raise AttributeError(name)
        return self._peer.ask("attribute", self, name)

    def __iter__(self) -> Iterator[Any]:
        """What it gives, one by one, asked for as needed."""
        steps: Iterator[Any] = self._peer.ask("iterate", self)
        return steps

    def __next__(self) -> Any:
        return self._peer.ask("next", self)

    def __getitem__(self, key: Any) -> Any:
        """The item of this key."""
        return self._peer.ask("item", self, key)

    def __len__(self) -> int:
        return int(self._peer.ask("length", self))

    def __bool__(self) -> bool:
        return self._peer.ask("truth", self) is True


def _change(old: Any, new: Any) -> None:
    """Make a list, set or dictionary what it became on the other side."""
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
    # An error of the program's own may fail to tell of itself.
    except BaseException:
        return ""


def _error(name: str, text: str) -> Exception:
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        try:
            return kind(text)
        except TypeError:  # one that needs more than a text, such as UnicodeDecodeError
            return ProgramError(f"{name}: {text}")
    return ProgramError(f"{name}: {text}")

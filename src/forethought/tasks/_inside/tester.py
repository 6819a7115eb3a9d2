"""The process of the tests, which receives only plain values from the program."""

from __future__ import annotations

import json
import os
import sys
import types
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from .peer import OUT_OF_TIME, CannotBeSharedError, EndedError, Peer, Remote

_NAME = "tests"


class Tests:
    """Requests that the program may send to the tests: use of objects passed to it."""

    def shares(self, value: Any) -> bool:
        """Functions and iterators only; other objects would expose the tests' process."""
        return callable(value) or isinstance(value, Iterator)

    def do(self, request: str, *arguments: Any) -> Any:
        """Execute a request; errors go to the program."""
        match request, arguments:
            case "call", (of, tuple(given), dict(named)):
                return of(*given, **named), ()
            case "iterate", (of,):
                return iter(of)
            case "next", (of,):
                return next(of)
        raise AttributeError("what the tests hand over can only be called, or gone through")


def run(settings_at: int, result_at: int, reads: int, writes: int) -> None:
    """Report the walls and, if the needed ones held, the verdict."""
    with os.fdopen(settings_at, encoding="utf-8") as file:
        settings: dict[str, Any] = json.load(file)
    sys.modules["__main__"] = types.ModuleType("__main__")
    sys.argv = ["tests.py"]
    sys.dont_write_bytecode = True
    peer = Peer(reads, writes, Tests())
    walls = peer.ask("walls")
    _report(result_at, walls=walls)
    if not set(settings["needed"]) <= set(walls):
        return
    _report(result_at, ready=True)
    try:
        reason = _unfit(peer, settings)
    except EndedError as error:
        os.write(2, f"{error}\n".encode())
        _report(result_at, verdict="timed out" if error.code == OUT_OF_TIME else "failed")
    # Tests may fail with any error.
    except BaseException as error:
        if error is not peer.raised:  # the program already printed its own errors
            _show()
        _report(result_at, verdict="failed")
    else:
        _report(result_at, verdict="unfit" if reason else "passed", reason=reason)


def _unfit(peer: Peer, settings: dict[str, Any]) -> str:
    """Run the tests; raise if they fail, return a reason if the tests themselves are unfit."""
    module = types.ModuleType(_NAME)
    sys.modules[_NAME] = module
    try:
        exec(compile(settings["setup"], "setup.py", "exec"), module.__dict__)
        tests = compile(settings["tests"], "tests.py", "exec")
    # Errors before the first request are errors of the tests.
    except Exception as error:
        return _described(error)
    entry = settings["entry"]
    function = peer.ask("load", settings["program"], entry)
    if not entry:
        return ""
    if not isinstance(function, Remote):
        raise TypeError(f"{entry} is no function")
    module.__dict__[entry] = function
    before = peer.asked
    try:
        exec(tests, module.__dict__)
    except CannotBeSharedError as error:
        return f"they hand over {error}"
    except Exception as error:
        if peer.asked == before:
            return _described(error)
        raise
    return ""


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]


def _report(result_at: int, **fields: Any) -> None:
    os.write(result_at, json.dumps(fields).encode() + b"\n")


def _show() -> None:
    import traceback

    with suppress(OSError):
        traceback.print_exc()

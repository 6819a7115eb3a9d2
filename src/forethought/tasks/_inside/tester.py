"""The process of the tests: nothing of the program is in it but the values that it gives."""

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
    """What a program may ask of the tests: to call functions that they handed over."""

    def shares(self, value: Any) -> bool:
        """Functions and iterators; other things would let the program look around here."""
        return callable(value) or isinstance(value, Iterator)

    def do(self, request: str, *arguments: Any) -> Any:
        """Do what is asked; errors that are raised go to the program."""
        match request, arguments:
            case "call", (of, tuple(given), dict(named)):
                return of(*given, **named), ()
            case "iterate", (of,):
                return iter(of)
            case "next", (of,):
                return next(of)
        raise AttributeError("what the tests hand over can only be called, or gone through")


def run(settings_at: int, result_at: int, reads: int, writes: int) -> None:
    """Tell of the walls, and of the verdict if enough of them stand."""
    with os.fdopen(settings_at, encoding="utf-8") as file:
        settings: dict[str, Any] = json.load(file)
    sys.modules["__main__"] = types.ModuleType("__main__")
    sys.argv = ["tests.py"]
    sys.dont_write_bytecode = True
    peer = Peer(reads, writes, Tests())
    walls = peer.ask("walls")
    _tell(result_at, walls=walls)
    if not set(settings["needed"]) <= set(walls):
        return
    _tell(result_at, ready=True)
    try:
        reason = _unfit(peer, settings)
    except EndedError as error:
        os.write(2, f"{error}\n".encode())
        _tell(result_at, verdict="timed out" if error.code == OUT_OF_TIME else "failed")
    # Tests may fail by any error; the first ones may be their own, which are told as such.
    except BaseException as error:
        if error is not peer.raised:  # which the program has shown
            _show()
        _tell(result_at, verdict="failed")
    else:
        _tell(result_at, verdict="unfit" if reason else "passed", reason=reason)


def _unfit(peer: Peer, settings: dict[str, Any]) -> str:
    """Run the tests; raises where they fail, and says what is wrong with them themselves."""
    module = types.ModuleType(_NAME)
    sys.modules[_NAME] = module
    try:
        exec(compile(settings["setup"], "setup.py", "exec"), module.__dict__)
        tests = compile(settings["tests"], "tests.py", "exec")
    # What is wrong before the program is asked anything is wrong with the tests.
    except Exception as error:
        return _told(error)
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
            return _told(error)
        raise
    return ""


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]


def _tell(result_at: int, **fields: Any) -> None:
    os.write(result_at, json.dumps(fields).encode() + b"\n")


def _show() -> None:
    import traceback

    with suppress(OSError):
        traceback.print_exc()

"""The process of the untrusted program: loads it and handles the tests' requests."""

from __future__ import annotations

import sys
import types
from contextlib import suppress
from typing import Any

from .peer import EndedError, Peer

_NAME = "program"
"""Not __main__, so that a program's main block does not run."""


class Program:
    """Requests that the tests may send to the program."""

    def __init__(self, walls: list[str]) -> None:
        self._walls_held = walls

    def shares(self, value: Any) -> bool:
        """The tests may use any object of the program."""
        return True

    def do(self, request: str, *arguments: Any) -> Any:
        """Execute a request; errors go to the tests."""
        return getattr(self, f"_{request}")(*arguments)

    def _walls(self) -> Any:
        return self._walls_held

    def _load(self, source: str, entry: str) -> Any:
        """Run the program and return its object `entry`, if one is named."""
        module = types.ModuleType(_NAME)
        sys.modules[_NAME] = module
        try:
            exec(compile(source, "program.py", "exec"), module.__dict__)
        # The program may raise anything, SystemExit included; print the traceback and forward it.
        except BaseException:
            _show()
            raise
        return module.__dict__[entry] if entry else None

    def _call(self, of: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        try:
            value = of(*arguments, **named)
        except BaseException:
            _show()
            raise
        return value, arguments if value is None else ()

    def _attribute(self, of: Any, name: str) -> Any:
        return getattr(of, name)

    def _iterate(self, of: Any) -> Any:
        return iter(of)

    def _next(self, of: Any) -> Any:
        return next(of)

    def _item(self, of: Any, key: Any) -> Any:
        return of[key]

    def _length(self, of: Any) -> Any:
        return len(of)

    def _truth(self, of: Any) -> Any:
        return bool(of)


def run(reads: int, writes: int, walls: list[str]) -> None:
    """Handle the tests' requests until they end; the first one asks for the walls."""
    sys.modules["__main__"] = types.ModuleType("__main__")
    sys.argv = ["program.py"]
    sys.dont_write_bytecode = True
    with suppress(EndedError):
        Peer(reads, writes, Program(walls)).serve()


def _show() -> None:
    import traceback

    try:
        traceback.print_exc()
    # The program may have replaced standard error.
    except BaseException:
        return

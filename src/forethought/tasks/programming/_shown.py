"""The tests that a programming question shows: its docstring's examples, as asserts."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

_ARROWS = re.compile(r"(?<!\s)\s*(?:==|=>|->|➞|should return|returns)\s*")
_LABEL = re.compile(r"^(?:[A-Za-z][A-Za-z0-9 ]*:|\d+[.)]|[-*•])\s+")
"""What may stand before an example in its line, such as "For example:"."""
_MOST_ARROWS = 20
"""Arrows of a line that are tried: all before each is parsed anew."""
_UNREADABLE = (SyntaxError, ValueError, MemoryError, RecursionError)
"""What text that is no Python, or too deep, may give."""


def shown_tests(prompt: str, entry: str) -> tuple[str, ...]:
    """Programs that fail where an example in the docstring of the function `entry` does not hold.

    Examples are lines after >>> with a value below, asserts, and calls with a value behind them.
    What has no value that can be read is left out.
    """
    found: list[str] = []
    before: list[str] = []
    lines = iter([*_docstring(prompt, entry).splitlines(), ""])
    source, want = "", ""
    for line in (line.strip() for line in lines):
        goes_on = bool(source) and line and not line.startswith(">>>")
        if goes_on and line.startswith("..."):
            source += "\n" + line[3:].removeprefix(" ")
        elif goes_on:
            want += line + "\n"
        else:
            found += _example(source, want, before)
            source, want = line[3:].strip() if line.startswith(">>>") else "", ""
            found += [] if source else _plain(line, entry)
    return tuple(dict.fromkeys(found))


def _docstring(prompt: str, entry: str) -> str:
    """The function's docstring; all behind its head where it cannot be read as Python."""
    with suppress(*_UNREADABLE):
        for node in ast.walk(ast.parse(prompt)):
            if isinstance(node, ast.FunctionDef) and node.name == entry:
                return ast.get_docstring(node) or ""
    return prompt.rpartition(f"def {entry}(")[2]


def _example(source: str, want: str, before: list[str]) -> Iterator[str]:
    """The test that an example is; one without a value is what later ones build on."""
    if not source:
        return
    if not want.strip():
        with suppress(*_UNREADABLE):
            ast.parse(source)
            before.append(source)
        return
    for test in _equal(source, want):
        yield "\n".join([*before, test])


def _plain(line: str, entry: str) -> Iterator[str]:
    """The test that a line without >>> is, if it is one: an assert, or a call and its value."""
    with suppress(*_UNREADABLE):
        (statement,) = ast.parse(line).body
        if isinstance(statement, ast.Assert) and _calls(line, entry):
            yield line
            return
    line = _LABEL.sub("", line)
    for match in islice(_ARROWS.finditer(line), _MOST_ARROWS):
        call, want = line[: match.start()].strip(), line[match.end() :].partition("#")[0]
        if tests := list(_equal(call, want)) if _is_call(call, entry) else []:
            yield from tests
            return


def _calls(source: str, entry: str) -> bool:
    return any(
        isinstance(node, ast.Call) and ast.unparse(node.func) == entry
        for node in ast.walk(ast.parse(source))
    )


def _is_call(source: str, entry: str) -> bool:
    with suppress(*_UNREADABLE):
        node = ast.parse(source, mode="eval").body
        return isinstance(node, ast.Call) and ast.unparse(node.func) == entry
    return False


def _equal(source: str, want: str) -> Iterator[str]:
    """A test that the expression has the value; none where either cannot be read."""
    with suppress(*_UNREADABLE):
        ast.parse(source, mode="eval")
        value = ast.literal_eval(want.strip())
        if isinstance(value, float):
            # A docstring shows few digits, and sums may round.
            yield f"assert abs(({source}) - {value!r}) <= 1e-6 * max(1.0, abs({value!r}))"
        else:
            yield f"assert ({source}) == {value!r}"

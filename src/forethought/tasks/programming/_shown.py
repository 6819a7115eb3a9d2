"""Visible tests of a programming question: docstring examples as assertions."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

_ARROWS = re.compile(r"(?<!\s)\s*(?:==|=>|->|➞|should return|returns)\s*")
_LABEL = re.compile(r"^(?:[A-Za-z][A-Za-z0-9 ]*:|\d+[.)]|[-*•])\s+")
"""A label before an example, such as "For example:"."""
_MOST_ARROWS = 20
"""Most arrows tried per line; each needs a new parse."""
_UNREADABLE = (SyntaxError, ValueError, MemoryError, RecursionError)
"""Errors of text that is not Python, or nested too deeply."""


def shown_tests(prompt: str, entry: str) -> tuple[str, ...]:
    """Programs that fail if a docstring example of the function `entry` does not hold.

    Examples are >>> lines with a value below, assertions, and calls followed by a value. Examples
    without a literal value are left out.
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
    """The function's docstring; if the prompt does not parse, all text after its head."""
    with suppress(*_UNREADABLE):
        for node in ast.walk(ast.parse(prompt)):
            if isinstance(node, ast.FunctionDef) and node.name == entry:
                return ast.get_docstring(node) or ""
    return prompt.rpartition(f"def {entry}(")[2]


def _example(source: str, want: str, before: list[str]) -> Iterator[str]:
    """The test of a >>> example; an example without a value is setup for later ones."""
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
    """The test of a line without >>>: an assertion, or a call with its value."""
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
    """A test that the expression has the value; none if either does not parse."""
    with suppress(*_UNREADABLE):
        ast.parse(source, mode="eval")
        value = ast.literal_eval(want.strip())
        if isinstance(value, float):
            # Docstrings show few digits, and sums may round.
            yield f"assert abs(({source}) - {value!r}) <= 1e-6 * max(1.0, abs({value!r}))"
        else:
            yield f"assert ({source}) == {value!r}"

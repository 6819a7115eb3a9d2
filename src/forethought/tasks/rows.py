"""JSONL files of questions: parsing, validation and order of rows."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from reprlib import Repr
from typing import Any, NoReturn

from forethought.contracts.errors import BadDataError
from forethought.tasks.files import content_of

Fields = Mapping[str, tuple[type, ...]]
"""Required fields of a line, with their allowed types."""

TEXT: tuple[type, ...] = (str,)
NUMBER: tuple[type, ...] = (int, float)
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 60


@dataclass(frozen=True)
class Row:
    """One line of a file."""

    line: int
    """Line number in the file, from 1."""
    values: Mapping[str, Any]

    def named(self, identifier: str, task: str) -> str:
        """The question's identifier: the field `identifier`, or else task and line number."""
        given = self.values.get(identifier)
        return f"{task}-{self.line}" if given is None else str(given)


@dataclass(frozen=True)
class Rows:
    """The valid rows of a file, and a note on each invalid line."""

    good: tuple[Row, ...]
    notes: tuple[str, ...]


def _no_problem(values: Mapping[str, Any]) -> str:
    return ""


def rows(
    path: str,
    fields: Fields,
    skip_bad: bool,
    identifier: str,
    problem: Callable[[Mapping[str, Any]], str] = _no_problem,
) -> Rows:
    """Read the file at `path`; an invalid line is an error unless `skip_bad`.

    Values of the field `identifier` must be unique; null counts as missing. `problem` may reject
    further lines with a reason.
    """
    good: list[Row] = []
    notes: list[str] = []
    seen: dict[object, int] = {}
    for number, content in _lines(path):
        try:
            values = _parsed(content, fields)
            if found := problem(values):
                raise _BadLineError(found)
            _check_unique(values, identifier, seen, number)
        except _BadLineError as error:
            if not skip_bad:
                raise _bad_line(path, number, str(error)) from error
            notes.append(f"{path}, line {number}: {error}; skipped")
        else:
            good.append(Row(number, values))
    if not good:
        raise BadDataError(
            f"{path} has no {'good ' if notes else ''}line", "give a file with one question a line"
        )
    return Rows(tuple(good), tuple(notes))


def drawn(of: Rows, count: int, seed: int) -> tuple[Row, ...]:
    """The first `count` rows (0: all), in the file's order or shuffled by a seed above 0."""
    order = list(of.good)
    if seed:
        Random(seed).shuffle(order)
    return tuple(order[: count or None])


class _BadLineError(Exception):
    """An invalid line, with the reason."""


def _lines(path: str) -> Iterator[tuple[int, bytes]]:
    content = content_of(path, "give the path of a JSONL file")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadDataError(f"{path} is UTF-16", "convert it: iconv -f utf-16 -t utf-8")
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if line.strip():
            yield number, line


def _parsed(content: bytes, fields: Fields) -> dict[str, Any]:
    try:
        values = json.loads(content.decode(), parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise _BadLineError(f"not JSON ({error})") from error
    if not isinstance(values, dict):
        raise _BadLineError("not a JSON object")
    for name, types in fields.items():
        if name not in values:
            raise _BadLineError(f"has no field {name!r}; it has {', '.join(map(repr, values))}")
        if not isinstance(values[name], types) or isinstance(values[name], bool):
            wanted = " or ".join(one.__name__ for one in types)
            raise _BadLineError(f"{name} is {shortened(values[name])}, not of type {wanted}")
    _refuse_surrogates(values)
    return values


def shortened(value: object) -> str:
    """A value shortened for a message."""
    return _SHORT.repr(value)


def _refuse_surrogates(values: dict[str, Any]) -> None:
    """Refuse lone surrogates, which neither files nor tokenizers can encode."""
    try:
        json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise _BadLineError(f"holds half a character: {error.object[error.start]!r}") from error
    except RecursionError as error:
        raise _BadLineError("is nested too deeply") from error


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text} is too large")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _check_unique(
    values: dict[str, Any], identifier: str, seen: dict[object, int], number: int
) -> None:
    if values.get(identifier) is None:
        values.pop(identifier, None)
        return
    given = values[identifier]
    if not isinstance(given, (*TEXT, *NUMBER)) or isinstance(given, bool):
        raise _BadLineError(f"{identifier} is {shortened(given)}, neither a text nor a number")
    name = str(given)
    if name in seen:
        raise _BadLineError(f"{identifier} {name!r} stands in line {seen[name]} already")
    seen[name] = number


def _bad_line(path: str, number: int, problem: str) -> BadDataError:
    return BadDataError(
        f"{path}, line {number}: {problem}", "mend the line, or leave such lines out: skip_bad=true"
    )

"""Lists and records of methods and models as text."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from forethought.catalogue import Entry, Parameter

_BOLD, _RESET = "\x1b[1m", "\x1b[0m"
Row = tuple[str, str]
"""A name and what is said of it."""


def table(rows: Sequence[Row], *, width: int, indent: int = 2) -> str:
    """Two columns, the second wrapped beside the first."""
    column = max((len(name) for name, _ in rows), default=0) + 2
    return "\n".join(_row(" " * indent + f"{name:<{column}}", text, width) for name, text in rows)


def groups(groups: Mapping[str, Sequence[Row]], *, width: int, colour: bool) -> str:
    """A table under a heading for each group."""
    return "\n\n".join(
        f"{_heading(name, colour)}\n{table(rows, width=width)}" for name, rows in groups.items()
    )


def method(entry: Entry, *, width: int, colour: bool) -> str:
    """All that is known of a method: its record, its parameters, an example."""
    about = [
        *entry.notes.items(),
        ("Source", f"{entry.path}:{entry.line}"),
        ("Example", f'forethought "Who signed it?" -f contract.txt -x {_example(entry)}'),
    ]
    parts = [
        f"{_heading(entry.name, colour)} · {entry.family}\n{_row('', entry.summary, width)}",
        table(about, width=width, indent=0),
    ]
    if entry.parameters:
        shown = table([_parameter(one) for one in entry.parameters], width=width)
        parts.append(f"{_heading('Parameters', colour)}\n{shown}")
    return "\n\n".join(parts)


def _parameter(parameter: Parameter) -> Row:
    default = f"={parameter.default}" if parameter.default else ""
    return f"{parameter.name}{default}", f"{parameter.help} ({parameter.limits})"


def _example(entry: Entry) -> str:
    given = next((one for one in entry.parameters if one.default), None)
    return f"'{entry.name}({given.name}={given.default})'" if given else entry.name


def _heading(text: str, colour: bool) -> str:
    return f"{_BOLD}{text}{_RESET}" if colour else text


def _row(start: str, text: str, width: int) -> str:
    return textwrap.fill(
        text,
        max(width, len(start) + 20),
        initial_indent=start,
        subsequent_indent=" " * len(start),
        break_on_hyphens=False,
        break_long_words=False,
    )

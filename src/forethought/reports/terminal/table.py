"""Tables and records of methods and models as terminal text."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from forethought.reports.terminal.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from forethought.catalogue import Entry, Parameter

_BOLD, _RESET = "\x1b[1m", "\x1b[0m"
_COLUMN = 28
Row = tuple[str, str]
"""A name and its description."""


def table(rows: Sequence[Row], *, width: int, indent: int = 2) -> str:
    """Two columns, the second wrapped beside the first."""
    # A single long name must not widen the column for all rows.
    column = min(max((len(name) for name, _ in rows), default=0), _COLUMN) + 2
    shown = ((printable(name), text) for name, text in rows)
    return "\n".join(_named(" " * indent, name, column, text, width) for name, text in shown)


def _named(indent: str, name: str, column: int, text: str, width: int) -> str:
    """A name and its description, which goes on the next line if the name is too long."""
    if len(name) + 2 <= column:
        return _row(indent + f"{name:<{column}}", text, width)
    return f"{indent}{name}\n{_row(indent + ' ' * column, text, width)}"


def groups(groups: Mapping[str, Sequence[Row]], *, width: int, colour: bool) -> str:
    """A table under a heading for each group."""
    return "\n\n".join(
        f"{_heading(name, colour)}\n{table(rows, width=width)}" for name, rows in groups.items()
    )


def method(entry: Entry, *, width: int, colour: bool) -> str:
    """The record of a method, its parameters and an example."""
    about = {
        **{name: text for name, text in entry.notes.items() if name != "Example"},
        "Source": f"{entry.path}:{entry.line}",
        "Example": entry.notes.get("Example") or _example(entry),
    }
    parts = [
        f"{_heading(entry.name, colour)} · {entry.family}\n{_row('', entry.summary, width)}",
        table([*about.items()], width=width, indent=0),
    ]
    if entry.parameters:
        shown = table([_parameter(one) for one in entry.parameters], width=width)
        parts.append(f"{_heading('Parameters', colour)}\n{shown}")
    return "\n\n".join(parts)


def _parameter(parameter: Parameter) -> Row:
    default = f"={parameter.default}" if parameter.default else ""
    return f"{parameter.name}{default}", f"{parameter.help} ({parameter.limits})"


_ABOUT_A_DOCUMENT = '"Who signed it?" -f contract.txt'
_QUESTION = '"A pen costs 3 dollars. What do 14 pens cost?"'
_OPTIONS = {
    "search": "-s",
    "scoring": "-s best-of-n --scorer",
    "confidence": "--confidence",
}
"""The option that names an entry of each family; -x for all others."""
_FILLED_IN = {"server": "http://127.0.0.1:8000/v1#name", "plan": "plan.json"}


def _example(entry: Entry) -> str:
    required = [one.name for one in entry.parameters if not one.default]
    needed = [f'{name}="{_FILLED_IN.get(name, "FILE.jsonl")}"' for name in required]
    given = [f"{one.name}={one.default}" for one in entry.parameters if one.default][:1]
    settings = ", ".join(needed or given)
    spelled = f"'{entry.name}({settings})'" if settings else entry.name
    if ".tasks." in entry.module:
        return f"forethought evaluate -t {spelled}"
    option = _OPTIONS.get(entry.family, "-x")
    asked = _ABOUT_A_DOCUMENT if option == "-x" else _QUESTION
    ranks = entry.constants.get("scores") is True  # whether a strategy always needs a scorer
    scorer = " --scorer likelihood" if option == "-s" and ranks else ""
    return f"forethought {asked} {option} {spelled}{scorer}"


def _heading(text: str, colour: bool) -> str:
    shown = printable(text)
    return f"{_BOLD}{shown}{_RESET}" if colour else shown


def _row(start: str, text: str, width: int) -> str:
    return textwrap.fill(
        printable(text),
        max(width, len(start) + 20),
        initial_indent=start,
        subsequent_indent=" " * len(start),
        break_on_hyphens=False,
        break_long_words=False,
    )

"""Candidates of a search as terminal lines, with the chosen one marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forethought.reports.terminal.printable import printable

MOST = 8
"""Most candidates shown; the ones of greatest weight."""


def summary(run: dict[str, Any]) -> str:
    """The number of candidates in one line; empty if the run is not a search."""
    found = [one for one in run["candidates"] if "path" in one]
    if not found:
        return ""
    whole = [one for one in found if not one["pruned"]]
    pruned = len(found) - len(whole)
    given_up = f", {pruned} given up on the way" if pruned else ""
    return f"{len(whole)} {'answer' if len(whole) == 1 else 'answers'}{given_up}"


def lines(run: dict[str, Any], room: int) -> list[str]:
    """One line per candidate, of at most `room` columns: weight, score, tokens and last line.

    If two models wrote, each line names its model.
    """
    found = [one for one in run["candidates"] if "path" in one and not one["pruned"]]
    if len(found) < 2:
        return []
    shown = sorted(found, key=_rank)[:MOST]
    rows = [
        (
            "▶" if one["chosen"] else " ",
            _number(one["weight"]),
            _number(one["score"]),
            f"{one['tokens']:,} tok",
            printable(one.get("writer", "")),
            _ending(one["text"]),
        )
        for one in found
        if one in shown
    ]
    left = len(found) - len(shown)
    more = [f"  and {left:,} more"] if left else []
    return [line[:room] for line in [*_columns(rows), *more]]


def _rank(one: dict[str, Any]) -> tuple[bool, float]:
    return (not one["chosen"], -(one["weight"] or 0.0))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _ending(text: str) -> str:
    """The last line of an answer, which holds its result."""
    written = [line.strip() for line in text.splitlines() if line.strip()]
    return printable(written[-1]) if written else "(nothing)"


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Align cells in columns; empty columns are left out."""
    used = [place for place in range(len(rows[0])) if any(row[place] for row in rows)]
    widths = {place: max(len(row[place]) for row in rows) for place in used}
    last = used[-1]
    return [
        "  ".join(
            row[place] if place == last else f"{row[place]:>{widths[place]}}" for place in used
        ).rstrip()
        for row in rows
    ]

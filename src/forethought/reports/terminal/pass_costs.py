"""Cost-of-pass as terminal text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forethought.reports import units

_HEADS = ("recipe", "task", "solved", "score", "a run", "a right answer", "95 % interval", "energy")


def pass_costs_text(found: dict[str, Any]) -> str:
    """Format a document of `PassCosts`."""
    rows = [_cells(row) for row in found["rows"]]
    table = [_HEADS, *rows]
    widths = [max(len(row[place]) for row in table) for place in range(len(_HEADS))]
    lines = [_line(row, widths) for row in table]
    return "\n".join([*lines, "", *(_frontier(one) for one in found["frontiers"])])


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    cost = row["pass_usd"]
    return (
        row["recipe"],
        row["task"],
        f"{row['solved']} of {row['problems']}",
        f"{100 * row['score']:.3g}",
        units.dollars(row["usd"]),
        _usd(cost["value"]),
        f"{_usd(cost['low'])} to {_usd(cost['high'])}",
        _energy(row),
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()


def _frontier(one: dict[str, Any]) -> str:
    value, split = _usd(one["value"]), one["split"]
    told = f"{one['task']}: cheapest way for each problem {value}"
    if split:
        interval = f"{_usd(split['low'])} to {_usd(split['high'])}"
        told += f"; chosen on one half of the runs, priced on the other {_usd(split['value'])}"
        told += f" ({interval})"
    if one["human"] is not None:
        told += f"; a human {units.dollars(one['human'])}"
    leads = ", ".join(f"{name} {count}" for name, count in one["leads"].items())
    saved = ", ".join(f"{name} {100 * share:.3g} %" for name, share in one["essential"].items())
    return f"{told}; cheapest: {leads}" + (f"; saved by each: {saved}" if saved else "")


def _energy(row: dict[str, Any]) -> str:
    """Energy of a right answer; empty if it is unknown or infinite."""
    return "" if row["pass_joules"] is None else units.joules(row["pass_joules"])


def _usd(value: float | None) -> str:
    return "never right" if value is None else units.dollars(value)

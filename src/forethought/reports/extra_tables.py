"""Tables beside the main one, for every output format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from forethought.contracts.comparison import Comparison
from forethought.reports import (
    answer_range,
    confidences,
    equal_cost,
    held_out,
    judged,
    unparsable,
)


@dataclass(frozen=True)
class ExtraTable:
    """A table with rows per recipe."""

    name: str
    """Identifier of its section on a page."""
    title: str
    heading: Sequence[str]
    rows: Sequence[Sequence[str]]
    """The first cell of a row is the recipe's short name."""
    note: str


def extra_tables(comparison: Comparison) -> list[ExtraTable]:
    """The tables that have rows."""
    found = [
        ("answers", answer_range.TITLE, answer_range.rows(comparison), answer_range.NOTE),
        ("held", held_out.TITLE, held_out.rows(comparison), held_out.NOTE),
        ("judged", judged.TITLE, judged.rows(comparison), judged.note(comparison)),
        ("equal", equal_cost.TITLE, equal_cost.rows(comparison), equal_cost.NOTE),
        ("confidence", confidences.TITLE, confidences.rows(comparison), confidences.NOTE),
        ("unparsable", unparsable.TITLE, unparsable.rows(comparison), unparsable.NOTE),
    ]
    return [
        ExtraTable(name, title, rows[0], rows[1:], note)
        for name, title, rows, note in found
        if rows
    ]

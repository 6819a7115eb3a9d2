"""The column that says whether a recipe is as published."""

from __future__ import annotations

from forethought.contracts.comparison import Comparison
from forethought.contracts.published import PROTECT, Published
from forethought.contracts.sources import NO_METHOD
from forethought.reports.figures import DASH

TITLE = "published"
_UNKNOWN = "?"


def stated(comparison: Comparison) -> bool:
    """Whether any recipe states it, so that tables have the column."""
    return any(one.published.source for one in comparison.standings)


def mark(one: Published) -> str:
    """The cell of a recipe."""
    if not one.source:
        return _UNKNOWN
    if one.source == NO_METHOD:
        return DASH
    if one.source in ("ours", "baseline"):
        return one.source
    others = [name for name in one.changed if name != PROTECT]
    if others:
        return "changed"
    return one.source + "†" * (PROTECT in one.changed)


def marks(comparison: Comparison) -> list[str]:
    """The cells of all recipes, in order."""
    return [mark(one.published) for one in comparison.standings]


def cells(comparison: Comparison) -> list[list[str]]:
    """Per recipe its cell, or no cell if no recipe states it."""
    shown = stated(comparison)
    return [[found] if shown else [] for found in marks(comparison)]

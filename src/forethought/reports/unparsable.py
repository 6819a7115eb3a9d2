"""The table of answers without a readable result, for every output format."""

from __future__ import annotations

import math

from forethought.contracts.comparison import Comparison
from forethought.reports import figures

TITLE = "Answers without a readable result"
HEADING = ("recipe", "unparsable", "counted as wrong", "left out of the score")
NOTE = (
    "Shares of all answers. Unparsable: the scorer finds no result to judge. Such an answer counts "
    "as wrong, except for tasks whose published score needs a result."
)


def rows(comparison: Comparison) -> list[list[str]]:
    """A heading, then one row per recipe; empty if every answer has a result."""
    names = figures.named(comparison).short
    if not any(one.unparsable > 0 for one in comparison.standings):
        return []
    pairs = zip(names, comparison.standings, strict=True)
    shares = [
        (name, one.unparsable, one.unparsable - one.unscored, one.unscored) for name, one in pairs
    ]
    return [list(HEADING), *([name, *map(_share, told)] for name, *told in shares)]


def _share(value: float) -> str:
    return figures.MISSING if math.isnan(value) else f"{value:.1%}".replace("%", " %")

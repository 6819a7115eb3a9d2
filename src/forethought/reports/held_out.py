"""The table of differences that a reusable holdout answers, for every output format."""

from __future__ import annotations

from forethought.contracts.comparison import Comparison
from forethought.reports import figures

TITLE = "Behind the holdout"
NOTE = (
    "Differences of scores to the first recipe by Thresholdout (arXiv:1506.02629): of the tuning "
    "half while both halves agree, else of the held-out half with noise, which is charged. They "
    "hold after many comparisons on the same questions. All other figures are of the tuning half."
)
SPENT = "budget spent"


def rows(comparison: Comparison) -> list[list[str]]:
    """A heading, then one row per recipe but the first; empty without a holdout."""
    held = comparison.held_out
    if held is None or not held.changes:
        return []
    names = dict(
        zip((one.recipe for one in comparison.standings), figures.named(comparison).short,
            strict=True)
    )  # fmt: skip
    found = [["recipe", "change", "from"]]
    for one in held.changes:
        source = "held-out half, charged" if one.charged else "tuning half"
        change = SPENT if one.change is None else figures.signed(one.change)
        found.append([names[one.recipe], change, "" if one.change is None else source])
    return found

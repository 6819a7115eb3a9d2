"""The table of scores at equal tokens, for every output format."""

from __future__ import annotations

from forethought.contracts.comparison import AtBudget, Comparison
from forethought.reports import figures, units

TITLE = "At equal tokens"
NOTE = (
    "Scores of as many answers as the tokens pay for, with one prefill; the number of answers is "
    "in parentheses. Scores are means over all ways to draw that many answers. A recipe whose "
    "answers cannot be subsampled is shown at the cost it was run at."
)


def rows(comparison: Comparison) -> list[list[str]]:
    """A heading, then one row per recipe; empty without subsampled searches."""
    if not comparison.equal:
        return []
    names = figures.named(comparison).short
    drawn = {one.recipe for one in comparison.standings if one.fewer}
    found = [["recipe", *(f"{units.count(one.tokens)} tokens" for one in comparison.equal)]]
    for place, name in enumerate(names):
        row = [one.afforded[place] for one in comparison.equal]
        found.append([name, *(_shown(one, one.recipe in drawn) for one in row)])
    return found


def _shown(one: AtBudget, drawn: bool) -> str:
    if one.score is None:
        return figures.MISSING
    score = figures.points(one.score)
    return f"{score} ({one.answers:,})" if drawn else score

"""The table of scores at equal tokens, for every output format."""

from __future__ import annotations

from html import escape

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


def section(comparison: Comparison) -> str:
    """The table as an HTML section."""
    found = rows(comparison)
    if not found:
        return ""
    top = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in found[0])
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        f"{''.join(f'<td>{escape(cell)}</td>' for cell in row[1:])}</tr>"
        for row in found[1:]
    )
    return (
        f'<section id="equal"><div class="head"><h2>{TITLE}</h2></div><div class="scroll"><table>'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
        f'<p class="note">{escape(NOTE)}</p></section>'
    )


def _shown(one: AtBudget, drawn: bool) -> str:
    if one.score is None:
        return figures.MISSING
    score = figures.points(one.score)
    return f"{score} ({one.answers:,})" if drawn else score

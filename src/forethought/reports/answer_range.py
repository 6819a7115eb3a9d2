"""The table of the answers that searches choose among, for every output format."""

from __future__ import annotations

import math

from forethought.contracts.comparison import Comparison, RecipeResult
from forethought.reports import figures, units

TITLE = "What the answers allow"
NOTE = (
    "Scores if the worst answer to each question, a random one or the best one is chosen. The best "
    "is the choice of a perfect verifier, an upper bound for any scorer. Answers: mean per "
    "question, abandoned ones included, of those without an early stop; saved: the share that was "
    "not drawn. Spread: standard deviation of the tokens of the answers to one question, a "
    "mean over questions. Right and wrong: mean tokens of such answers."
)
HEADING = (
    "recipe", "worst", "random", "chosen", "best", "answers", "saved", "spread", "right", "wrong",
)  # fmt: skip


def rows(comparison: Comparison) -> list[list[str]]:
    """A heading, then one row per recipe with several answers to a question; empty without any."""
    names = figures.named(comparison).short
    pairs = zip(names, comparison.standings, strict=True)
    found = [_row(name, one) for name, one in pairs if one.chances and one.drawn]
    return [list(HEADING), *found] if found else []


def saved(one: RecipeResult) -> float:
    """The share of answers that an early stop or a budget spares; NaN for a recipe without one."""
    if one.drawn is None or not one.drawn.most:
        return math.nan
    return 1 - one.drawn.drawn / one.drawn.most


def _row(name: str, one: RecipeResult) -> list[str]:
    assert one.chances
    assert one.drawn
    scores = (one.chances.worst, one.chances.random, one.score.value, one.chances.oracle)
    share = saved(one)
    tokens = (one.drawn.spread, one.drawn.right, one.drawn.wrong)
    return [
        name,
        *map(figures.points, scores),
        f"{one.drawn.drawn:,.1f}" + (f" of {one.drawn.most:,}" if one.drawn.most else ""),
        f"{share:.0%}" if math.isfinite(share) else figures.MISSING,
        *(units.count(value) if math.isfinite(value) else figures.MISSING for value in tokens),
    ]

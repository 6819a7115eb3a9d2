"""The table of a ranking by judges, for every output format."""

from __future__ import annotations

from forethought.contracts.comparison import Comparison, JudgedRanking
from forethought.reports import figures

TITLE = "By the judges' verdicts"


def rows(comparison: Comparison) -> list[list[str]]:
    """A heading, then one row per recipe; empty without such a ranking."""
    found = comparison.judged
    if found is None:
        return []
    names = _names(comparison)
    table = [["recipe", "score", "90 %", "P(best)", "rank", "surely above"]]
    for one in found.recipes:
        ranks = dict.fromkeys((one.rank_low, one.rank_high))
        below = [names[worse] for better, worse in found.sure if better == one.recipe]
        table.append(
            [
                names[one.recipe],
                figures.points(one.score.value),
                figures.span(one.score),
                f"{one.best:.2f}",
                "…".join(map(str, ranks)),
                ", ".join(below),
            ]
        )
    return table


def note(comparison: Comparison) -> str:
    """The evidence and the warnings; empty without a ranking."""
    found = comparison.judged
    return "" if found is None else " ".join([*_grounds(found), *_warnings(found)])


def _grounds(found: JudgedRanking) -> list[str]:
    return [
        f"Ranked by {', '.join(found.judges)} in {found.levels} levels, with the gold scores of "
        f"{found.labels:,} of {found.questions:,} questions (Dawid and Skene's model with priors, "
        "the geometry of arXiv:2505.21972). The judges are not calibrated otherwise. Surely above: "
        "with probability 0.8 or more under every prior of the judges."
    ]


def _warnings(found: JudgedRanking) -> list[str]:
    told = [
        f"{second} gives the verdicts of {first} and is left out." for first, second in found.copies
    ]
    return [*told, *([f"Warning: {found.warning}."] if found.warning else [])]


def _names(comparison: Comparison) -> dict[str, str]:
    known = [one.recipe for one in comparison.standings]
    return dict(zip(known, figures.named(comparison).short, strict=True))

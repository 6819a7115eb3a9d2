"""A score expected from a description, as terminal text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from forethought.contracts.forecast import DescribedForecast
from forethought.reports import figures
from forethought.reports.terminal.printable import printable


def described_text(found: DescribedForecast, *, width: int) -> str:
    """The expected score, its evidence and its usual error, wrapped to `width`."""
    return "\n".join(
        textwrap.fill(printable(line), max(width, 20), break_on_hyphens=False)
        for line in _lines(found)
    )


def _lines(found: DescribedForecast) -> Iterator[str]:
    yield (
        f"Expected score: {figures.points(found.score.value)} points "
        f"({figures.span(found.score)}, 90 %). Weak evidence: words alone, and not calibrated."
    )
    if found.updated is not None and found.seen is not None:
        right, made = found.seen
        yield (
            f"After {right:,} right of {made:,}: {figures.points(found.updated.value)} points "
            f"({figures.span(found.updated)}, 90 %)."
        )
    if found.chance:
        yield f"Guessing scores {figures.points(found.chance)} points."
    if found.similar:
        yield f"Of {found.past:,} past results, these resemble the description most:"
    elif found.past:
        yield f"None of {found.past:,} past results resembles the description."
    else:
        yield "No past results are stored: forethought evaluate stores some."
    for one in found.similar:
        yield (
            f"  {figures.points(one.score)} points, {one.questions:,} answers, weight "
            f"{one.weight:.2f}: {one.task}, {one.recipe}"
        )
    if found.error is not None and found.mean_error is not None:
        yield (
            f"On each past result, from the others, such a forecast is off by "
            f"{figures.points(found.error)} points on average; the mean of the others by "
            f"{figures.points(found.mean_error)}."
        )
    if found.enough_items is not None:
        yield f"Evaluating {found.enough_items:,} questions would tell as much."

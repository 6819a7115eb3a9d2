"""A fitted plan and its value as terminal text."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Sequence

from forethought.contracts.spelling import written
from forethought.contracts.tuning import StrategyCost, Tuned
from forethought.reports.forecast_tables import widths
from forethought.reports.terminal.printable import printable
from forethought.reports.units import count

_BOLD, _DIM, _RESET = "\x1b[1m", "\x1b[2m", "\x1b[0m"
_ALONE = ("strategy alone", "score", "tokens")
_BINS = ("difficulty", "from", "questions", "strategy", "score", "best single")
_LEFT = {"strategy alone", "strategy", "difficulty", "from"}


def tuning_text(found: Tuned, *, file: str, width: int, colour: bool) -> str:
    """The finding, the strategies, the bins, and the options that use the plan in `file`."""
    blocks = [_wrapped(finding(found), width), _table(_ALONE, _alone(found), colour)]
    if len(found.bins) > 1:
        blocks.append(_table(_BINS, list(_bins(found)), colour))
    dim = "\n".join(_wrapped(one, width) for one in (*_caveats(found), *found.notes))
    blocks.append(f"{_DIM}{dim}{_RESET}" if colour else dim)
    if file:
        blocks.append(f"use it: {printable(usage(found, file))}")
    return "\n\n".join(blocks)


def finding(found: Tuned) -> str:
    """The value of the plan, in a sentence or two."""
    gain, adapted, alone = found.gain, found.adapted, found.alone
    shown = f"{_signed(gain.value)} points (95 %: {_signed(gain.low)} to {_signed(gain.high)})"
    if len(found.bins) == 1:
        verdict = f"one strategy for all questions, {found.fixed}: difficulty tells too little"
    elif gain.low > 0:
        verdict = "choosing by difficulty is better than any single strategy"
    elif gain.high < 0:
        verdict = "choosing by difficulty is worse than the best single strategy"
    else:
        verdict = "choosing by difficulty is not shown to be better than the best single strategy"
    return (
        f"{found.questions} questions: {verdict}. On questions that plans were not fitted on: "
        f"{_spent(adapted)}; {found.fixed} alone: {_spent(alone)}; {shown}"
    )


def usage(found: Tuned, file: str) -> str:
    """The command-line options that use the plan."""
    router = f"difficulty-router(plan={written(file)}, digest={written(found.plan.digest)})"
    scorer = f" --scorer {shlex.quote(found.scorer)}" if found.scorer else ""
    return f"-m {shlex.quote(found.plan.model)} -s {shlex.quote(router)}{scorer}"


def _alone(found: Tuned) -> list[tuple[str, ...]]:
    return [(name, _points(one.score), count(one.tokens)) for name, one in found.strategies.items()]


def _bins(found: Tuned) -> Iterator[tuple[str, ...]]:
    last = len(found.bins)
    for place, one in enumerate(found.bins, 1):
        kind = "easiest" if place == 1 else "hardest" if place == last else ""
        yield (
            f"{place} {kind}".strip(),
            f"{found.plan.by} {one.least[0]:.2f}" if place < last else "all others",
            count(one.questions),
            one.strategy,
            _points(one.score),
            _points(one.fixed_score),
        )


def _caveats(found: Tuned) -> Iterator[str]:
    if len(found.bins) > 1:
        yield (
            f"Difficulty is told by {found.plan.probe} answers, whose tokens are counted unless "
            "the strategy goes on with them. Scores of bins have an optimistic bias: strategies "
            "were chosen by them."
        )
    if found.worth:
        points = "point" if found.worth == 1 else "points"
        yield f"A thousand tokens had to bring {found.worth:g} {points}."
    else:
        yield "Tokens cost nothing here; --worth says what a thousand must bring."


def _table(heading: Sequence[str], rows: Sequence[tuple[str, ...]], colour: bool) -> str:
    rows = [tuple(map(printable, row)) for row in rows]
    sizes = widths([heading, *rows])
    lines = [
        "  ".join(
            f"{cell:<{size}}" if head in _LEFT else f"{cell:>{size}}"
            for cell, size, head in zip(row, sizes, heading, strict=True)
        ).rstrip()
        for row in [heading, *rows]
    ]
    return "\n".join([f"{_BOLD}{lines[0]}{_RESET}" if colour else lines[0], *lines[1:]])


def _spent(one: StrategyCost) -> str:
    return f"{_points(one.score)} at {count(one.tokens)} tokens"


def _points(score: float) -> str:
    return f"{100 * score:.1f}"


def _signed(value: float) -> str:
    return f"{100 * value:+.1f}".replace("-", "\u2212")


def _wrapped(text: str, width: int) -> str:
    return textwrap.fill(
        printable(text), max(width, 20), break_on_hyphens=False, break_long_words=False
    )

"""Measured confidence methods as terminal text."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence

from forethought.contracts.calibrated import Calibrated, MeasuredConfidence
from forethought.contracts.comparison import Interval
from forethought.reports.forecast_tables import widths
from forethought.reports.terminal.printable import printable
from forethought.reports.units import count, flops

_BOLD, _DIM, _RESET = "\x1b[1m", "\x1b[2m", "\x1b[0m"
_ORDER = ("method", "answers", "AUROC", "risk area", "right of surest half", "tokens", "FLOPs")
_SIZE = (
    "method",
    "ECE, own numbers",
    "ECE, held out",
    "calibration",
    "Brier, own",
    "Brier, held out",
)
_LEGEND = (
    "AUROC: the chance that a right answer has the greater number; 0.5 tells nothing. Risk area: "
    "the mean error rate over all shares of answers given, the surest first. Tokens and FLOPs are "
    "those of the method alone, for one answer. ECE: the expected calibration error over ten bins. "
    "Held out: by calibrations fitted on other questions. A method that tells nothing may have a "
    "small held-out error too: it then states the share of right answers. In brackets 95 % "
    "bootstrap intervals over questions, which are too narrow for fewer than ten right answers."
)


def calibration_text(found: Calibrated, *, file: str, width: int, colour: bool) -> str:
    """A table for each recipe that answered, and where the calibrations are."""
    groups: dict[str, list[MeasuredConfidence]] = {}
    for one in found.methods:
        groups.setdefault(one.answers, []).append(one)
    blocks = []
    for answers, methods in groups.items():
        blocks.append(_wrapped(_about(answers, methods), width))
        blocks.append(_table(_ORDER, [_ranked(one) for one in methods], colour))
        blocks.append(_table(_SIZE, [_sized(one) for one in methods], colour))
    dim = "\n".join(_wrapped(one, width) for one in (_LEGEND, *found.notes))
    blocks.append(f"{_DIM}{dim}{_RESET}" if colour else dim)
    if found.calibrations:
        kinds = ", ".join(dict.fromkeys(one.map.kind for one in found.calibrations))
        blocks.append(
            f"calibrations ({kinds}) in {printable(file)}: answers of these recipes use them"
        )
    return "\n\n".join(blocks)


def _about(answers: str, methods: Sequence[MeasuredConfidence]) -> str:
    most = max(methods, key=lambda one: one.questions)
    tasks = ", ".join(dict.fromkeys(task for one in methods for task in one.tasks))
    return (
        f"{answers}: {count(most.questions)} answers to {tasks}, {100 * most.accuracy:.1f} % right"
    )


def _ranked(one: MeasuredConfidence) -> tuple[str, ...]:
    """How well a method tells right from wrong answers, and what it costs."""
    right = f"{count(one.accuracy * one.questions)} right"
    silent = f", {one.silent} silent" if one.silent else ""
    half = one.accuracy_at.get("0.5")
    return (
        one.method,
        f"{count(one.questions)} ({right}{silent})",
        _interval(one.auroc),
        _interval(one.area),
        "" if half is None else f"{100 * half:.0f} %",
        count(one.tokens),
        flops(one.flops) if one.flops else "0",
    )


def _sized(one: MeasuredConfidence) -> tuple[str, ...]:
    """How far a method's numbers are from shares of right answers."""
    chosen = one.chosen
    held = None if chosen is None else one.held_out[chosen.map.kind]
    return (
        one.method,
        _interval(one.error),
        "" if held is None else _interval(held.error),
        "" if chosen is None else chosen.map.kind,
        _interval(one.brier),
        "" if held is None else _interval(held.brier),
    )


def _interval(one: Interval) -> str:
    if math.isnan(one.value):
        return "-"
    return f"{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]"


def _table(heading: Sequence[str], rows: Sequence[tuple[str, ...]], colour: bool) -> str:
    shown = [tuple(heading), *(tuple(map(printable, row)) for row in rows)]
    return "\n".join(_lines(shown, colour))


def _lines(rows: Sequence[tuple[str, ...]], colour: bool) -> Iterator[str]:
    sizes = widths(rows)
    for number, row in enumerate(rows):
        cells = zip(row, sizes, strict=True)
        line = "  ".join(f"{cell:<{size}}" for cell, size in cells).rstrip()
        yield f"{_BOLD}{line}{_RESET}" if colour and not number else line


def _wrapped(text: str, width: int) -> str:
    return textwrap.fill(
        printable(text), max(width, 20), break_on_hyphens=False, break_long_words=False
    )

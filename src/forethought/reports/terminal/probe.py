"""A fitted probe and its held-out figures as terminal text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from forethought.contracts.comparison import Interval
from forethought.contracts.probing import FittedProbe, ProbeKind
from forethought.contracts.spelling import written
from forethought.reports.forecast_tables import widths
from forethought.reports.terminal.printable import printable
from forethought.reports.units import count, flops

_HEADS = ("task", "questions", "states", "mean label", "AUROC (95 %)")
_USES: dict[ProbeKind, str] = {
    "value-head": "-s step-beam --scorer",
    "p-ik": "--confidence",
    "restart-gain": "-s",
    "difficulty": "-s",
}


def probe_text(found: FittedProbe, *, file: str, width: int) -> str:
    """The held-out ranking, by task, and the options that use the probe in `file`."""
    blocks = [textwrap.fill(finding(found), width), "\n".join(_table(found))]
    blocks += [textwrap.fill(note, width) for note in found.notes]
    if file:
        kind = found.record.kind
        called = f"{kind}(probe={written(file)}, digest={found.digest})"
        blocks.append(f"use it: {printable(f'{_USES[kind]} {called!r}')}")
    return "\n\n".join(blocks)


def finding(found: FittedProbe) -> str:
    """The quality of the probe on held-out questions, and the price of its states."""
    return (
        f"{found.record.kind} for {printable(found.record.model)}, fitted to {found.states:,} "
        f"states of {found.questions:,} questions ({count(found.scoring_tokens)} tokens, "
        f"{flops(found.flops)} to recompute them). On questions that it was not fitted to: AUROC "
        f"{_shown(found.auroc)}; cross-entropy {found.cross_entropy:.3f}, and "
        f"{found.base_cross_entropy:.3f} of the mean label. Its probabilities are not calibrated."
    )


def _table(found: FittedProbe) -> Iterator[str]:
    rows = [
        (printable(one.task), f"{one.questions:,}", f"{one.states:,}", f"{one.right:.2f}",
         _shown(one.auroc))
        for one in found.tasks
    ]  # fmt: skip
    sizes = widths([_HEADS, *rows])
    for row in (_HEADS, *rows):
        cells = [row[0].ljust(sizes[0])]
        cells += [cell.rjust(size) for cell, size in zip(row[1:], sizes[1:], strict=True)]
        yield "  ".join(cells).rstrip()


def _shown(one: Interval) -> str:
    if one.value != one.value:
        return "unknown"
    return f"{one.value:.2f} ({one.low:.2f} to {one.high:.2f})"

"""The table of how sure answers are, for every output format."""

from __future__ import annotations

import math

from forethought.contracts.comparison import AnswerConfidence, Comparison, Interval
from forethought.reports import figures

TITLE = "How sure the answers are"
NOTE = (
    "AUROC: the chance that a right answer has a greater confidence than a wrong one; 0.5 tells "
    "nothing. ECE: the expected calibration error over ten bins. In brackets 95 % bootstrap "
    "intervals over questions, from 20 questions on. Answered: the share of answers with at least "
    "the stated confidence, and the score of those. Confidences are as the answers state them."
)


def rows(comparison: Comparison) -> list[list[str]]:
    """A heading, then a row per recipe and confidence method; empty without a confidence."""
    names = figures.named(comparison).short
    pairs = zip(names, comparison.standings, strict=True)
    found = [_row(name, held) for name, one in pairs for held in one.confidence]
    levels = {held.level for one in comparison.standings for held in one.confidence}
    level = f"{max(levels, default=0):g}"
    heading = ["recipe", "method", "calibrated", "AUROC", "ECE", f"answered at {level}", "score"]
    return [heading, *found] if found else []


def calibrated(one: AnswerConfidence) -> str:
    """Whether the numbers of a method are calibrated."""
    if one.calibrated == 0:
        return "no"
    known = one.answers - one.silent
    return "yes" if one.calibrated == known else f"{one.calibrated} of {known}"


def _row(name: str, one: AnswerConfidence) -> list[str]:
    method = f"{one.method} ({one.silent} silent)" if one.silent else one.method
    shown = [_bounded(one.auroc), _bounded(one.error), f"{one.answered:.0%}"]
    return [name, method, calibrated(one), *shown, figures.points(one.score_answered)]


def _bounded(one: Interval) -> str:
    if math.isnan(one.value):
        return figures.MISSING
    bounds = "" if math.isnan(one.low) else f" [{one.low:.2f}, {one.high:.2f}]"
    return f"{one.value:.2f}{bounds}"

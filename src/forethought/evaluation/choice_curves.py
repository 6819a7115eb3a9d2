"""Scores of the likeliest and the best-scored of more answers than drawn, by a trained network.

The simulated worlds of `look_ahead.py` say nothing of scorers. The network of
`tune --train-pfn learning-curve` extends the curve of such a choice by the prior of learning
curves, which rise and saturate. It forecasts nothing for a curve that falls.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from forethought.contracts.beliefs import CURVE_STEPS
from forethought.contracts.comparison import Interval
from forethought.contracts.forecast import ChoiceAhead
from forethought.evaluation.look_ahead import intervals

_GAIN = 0.01
"""Gain of score that more answers are asked about."""


@dataclass(frozen=True)
class CurveUnit:
    """How numbers of answers become steps of the network."""

    up_to: int
    """The greatest number of answers of the forecast."""

    @property
    def answers(self) -> int:
        """Answers of a step."""
        return max(1, math.ceil(self.up_to / CURVE_STEPS))

    def seen(self, most: int) -> list[int]:
        """Numbers of answers up to `most` that are whole steps."""
        return list(range(self.answers, most + 1, self.answers))

    def steps(self, answers: Sequence[int]) -> tuple[float, ...]:
        """The steps of these numbers of answers."""
        return tuple(one / self.answers for one in answers)


def choice_ahead(
    network: Path, scores: Sequence[float], unit: CurveUnit, at: Sequence[int]
) -> tuple[ChoiceAhead | None, str]:
    """The forecast at each number of answers `at`, or None and the reason.

    `scores` are those of 1, 2, ... whole steps of answers.
    """
    if not scores or not at:
        return None, f"fewer than {unit.answers} answers were drawn, one step of the network"
    if scores[-1] < scores[0]:
        return None, "its curve falls, and the network's curves rise"
    # Imported late: only a network needs torch.
    from forethought.beliefs.amortised.learning_curve import CurveNetwork, CurvePoints

    points = CurvePoints(tuple(range(1, len(scores) + 1)), tuple(scores))
    belief = CurveNetwork.read(network, unit.steps(at)).condition(points)
    gains = belief.exceeds(scores[-1] + _GAIN)
    found: tuple[Interval, ...] = tuple(intervals(belief))
    return ChoiceAhead(tuple(at), found, float(gains[-1])), ""

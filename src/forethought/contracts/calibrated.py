"""The result of `tune --calibrate`: confidence methods measured on stored answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from forethought.contracts.calibration import Calibration, CalibrationKind
from forethought.contracts.comparison import Interval


@dataclass(frozen=True)
class CrossValidated:
    """A kind of calibration on answers that its fit did not see."""

    error: Interval
    """The expected calibration error."""
    brier: Interval


@dataclass(frozen=True)
class MeasuredConfidence:
    """One confidence method on the stored answers of one recipe."""

    answers: str
    """The label of the recipe that answered."""
    method: str
    tasks: tuple[str, ...]
    questions: int
    silent: int
    """Further answers about which the method said nothing."""
    accuracy: float
    """The share of right answers among those."""
    auroc: Interval
    error: Interval
    """The expected calibration error of the method's own numbers."""
    brier: Interval
    area: Interval
    """The area under the risk-coverage curve: the mean error rate over all shares answered."""
    accuracy_at: Mapping[str, float]
    """The accuracy of the surest answers, by their share."""
    held_out: Mapping[CalibrationKind, CrossValidated]
    """Empty if the answers are too few to hold some out."""
    tokens: float
    """Mean tokens that the method processes for an answer, decoded ones included."""
    flops: float
    """Mean FLOPs of the method for an answer."""
    chosen: Calibration | None = None
    """The calibration that is written; None if the answers are too few."""


@dataclass(frozen=True)
class Calibrated:
    """The confidence methods of a results file, and the calibrations fitted to them."""

    methods: tuple[MeasuredConfidence, ...]
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The result as plain JSON values, null for measures that have no value."""
        found: dict[str, Any] = _plain(asdict(self))
        return found

    @property
    def calibrations(self) -> list[Calibration]:
        """The calibrations to write."""
        return [one.chosen for one in self.methods if one.chosen is not None]


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {name: _plain(one) for name, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
        case float() if math.isnan(value):
            return None
    return value

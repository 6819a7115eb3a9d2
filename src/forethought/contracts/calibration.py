"""Calibrations that `tune --calibrate` writes: from a method's number to a probability."""

from __future__ import annotations

import hashlib
import json
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from forethought.contracts.file_format import FileFormat

_FORMAT = FileFormat(
    "forethought calibrations",
    1,
    "holds no calibrations",
    "make them anew: forethought tune --calibrate best",
)
CalibrationKind = Literal["isotonic", "platt", "temperature"]
CALIBRATION_KINDS: tuple[CalibrationKind, ...] = ("isotonic", "platt", "temperature")
WantedCalibration = Literal["best", "isotonic", "platt", "temperature"]
WANTED_CALIBRATIONS: tuple[WantedCalibration, ...] = ("best", *CALIBRATION_KINDS)
FINEST = 1e-7
"""Numbers are clamped this far from 0 and 1, so that their log odds stay finite."""


@dataclass(frozen=True)
class CalibrationMap:
    """A map from a number to a probability that does not fall where the number rises."""

    kind: CalibrationKind
    parameters: tuple[float, ...]
    """isotonic: numbers, ascending, then the probability of each, linear between them.
    platt: slope and intercept on the log odds. temperature: the temperature of the log odds."""

    def __call__(self, value: float) -> float:
        """The calibrated probability of a number from 0 to 1."""
        match self.kind:
            case "isotonic":
                half = len(self.parameters) // 2
                return _between(value, self.parameters[:half], self.parameters[half:])
            case "platt":
                slope, intercept = self.parameters
                return sigmoid(slope * log_odds(value) + intercept)
            case "temperature":
                return sigmoid(log_odds(value) / self.parameters[0])


@dataclass(frozen=True)
class Calibration:
    """The calibration of a confidence method on the answers of one recipe."""

    answers: str
    """The label of the recipe that answered, without its confidence methods."""
    method: str
    """The spelling of the confidence method."""
    map: CalibrationMap
    tasks: tuple[str, ...] = ()
    """The tasks of the fit."""
    questions: int = 0
    error: float = 0.0
    """The expected calibration error on answers that the fit did not see."""
    error_low: float = 0.0
    """The lower end of its 95 % interval."""
    error_high: float = 0.0
    """The upper end of its 95 % interval."""
    auroc: float | None = None
    """How well the method's number tells right from wrong answers; None if all are alike."""
    told: Mapping[str, Any] = field(default_factory=dict)
    """Other results of the fit."""

    @property
    def digest(self) -> str:
        """A short hash of the calibration."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:8]

    def summary(self) -> dict[str, Any]:
        """The calibration as an answer names it."""
        return {
            "kind": self.map.kind,
            "tasks": list(self.tasks),
            "questions": self.questions,
            "error": self.error,
            "error_interval": [self.error_low, self.error_high],
            "digest": self.digest,
        }


def log_odds(value: float) -> float:
    """The log odds of a number from 0 to 1."""
    held = min(max(value, FINEST), 1.0 - FINEST)
    return math.log(held) - math.log1p(-held)


def sigmoid(odds: float) -> float:
    """The probability with these log odds."""
    if odds >= 0:
        return 1.0 / (1.0 + math.exp(-odds))
    return math.exp(odds) / (1.0 + math.exp(odds))


def calibrations_text(found: Sequence[Calibration]) -> str:
    """Calibrations as JSON text for a file."""
    return _FORMAT.text({"calibrations": [asdict(one) for one in found]})


def read_calibrations(text: str, where: str) -> list[Calibration]:
    """The calibrations in a file's text; raises BadDataError if it holds none."""
    found = _FORMAT.read(text, where, lambda held: [*map(_calibration, held["calibrations"])])
    for one in found:
        if problem := _problem(one.map):
            raise _FORMAT.error(where, f"{one.method} of {one.answers}: {problem}")
    return found


def _calibration(held: Mapping[str, Any]) -> Calibration:
    chosen = held["map"]
    kind = CALIBRATION_KINDS[CALIBRATION_KINDS.index(chosen["kind"])]
    numbers = ("error", "error_low", "error_high")
    return Calibration(
        answers=str(held["answers"]),
        method=str(held["method"]),
        map=CalibrationMap(kind, tuple(float(one) for one in chosen["parameters"])),
        tasks=tuple(str(one) for one in held["tasks"]),
        questions=int(held["questions"]),
        **{name: float(held[name]) for name in numbers},
        auroc=None if held["auroc"] is None else float(held["auroc"]),
        told=dict(held["told"]),
    )


def _problem(found: CalibrationMap) -> str:
    numbers = found.parameters
    if not all(math.isfinite(one) for one in numbers):
        return "a parameter is not a number"
    match found.kind:
        case "isotonic":
            half = len(numbers) // 2
            steps, chances = numbers[:half], numbers[half:]
            if not half or len(numbers) % 2:
                return "its numbers and probabilities do not come in pairs"
            if list(steps) != sorted(steps) or list(chances) != sorted(chances):
                return "its numbers or probabilities do not ascend"
            inside = chances[0] >= 0 and chances[-1] <= 1
            return "" if inside else "a probability is outside 0 to 1"
        case "platt":
            if len(numbers) != 2:
                return "it needs a slope and an intercept"
            return "" if numbers[0] >= 0 else "its slope is below 0"
        case "temperature":
            return "" if len(numbers) == 1 and numbers[0] > 0 else "its temperature is not above 0"


def _between(value: float, steps: Sequence[float], chances: Sequence[float]) -> float:
    """Linear between steps, and constant outside of them."""
    place = bisect_right(steps, value)
    if place == 0:
        return chances[0]
    if place == len(steps):
        return chances[-1]
    low, high = steps[place - 1], steps[place]
    share = (value - low) / (high - low)
    return chances[place - 1] + share * (chances[place] - chances[place - 1])

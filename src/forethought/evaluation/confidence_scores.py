"""How well the confidences of stored answers tell right from wrong ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from forethought.contracts.comparison import UNKNOWN, AnswerConfidence, Interval
from forethought.contracts.questions import Sample
from forethought.numerics.calibration import (
    Measure,
    bootstrapped,
    calibration_error,
    resamples,
)
from forethought.numerics.ranking import auroc

LEVEL = 0.5
"""The default confidence from which an answer counts as given."""
FEWEST = 20
"""Independent questions from which measures have intervals."""
ROUNDS = 1000
"""Bootstrap samples of each interval."""


class _Told(NamedTuple):
    """What a method says of one answer."""

    cluster: str
    score: float
    value: float | None
    calibrated: bool


def answer_confidences(
    samples: Sequence[Sample], level: float = LEVEL
) -> tuple[AnswerConfidence, ...]:
    """Each confidence method on the answers of one recipe, by the numbers that answers state.

    A score counts as a share of a right answer. Answers with a confidence below `level` count as
    withheld, and so do those about which the method says nothing.
    """
    found: dict[str, list[_Told]] = defaultdict(list)
    for sample in samples:
        for one in _estimates(sample) if sample.scored else ():
            cluster = f"{sample.task} {sample.cluster}"
            told = _Told(cluster, sample.score, one["value"], one["calibrated"])
            found[one["method"]].append(told)
    return tuple(_measured(method, told, level) for method, told in found.items())


def _estimates(sample: Sample) -> Sequence[dict[str, Any]]:
    confidence = sample.run.get("confidence") or {}
    if "method" not in confidence:
        return ()
    told: Sequence[dict[str, Any]] = confidence.get("estimates") or (confidence,)
    return told


def _measured(method: str, told: Sequence[_Told], level: float) -> AnswerConfidence:
    known = [one for one in told if one.value is not None]
    values = np.array([one.value for one in known], dtype=float)
    scores = np.array([one.score for one in known], dtype=float)
    clusters = [one.cluster for one in known]
    enough = len(set(clusters)) >= FEWEST
    draws = resamples(clusters, np.random.default_rng(0), ROUNDS) if enough else ()

    def interval(measure: Measure) -> Interval:
        return bootstrapped(measure, values, scores, draws) if known else UNKNOWN

    given = scores[values >= level]
    return AnswerConfidence(
        method=method,
        answers=len(told),
        silent=len(told) - len(known),
        calibrated=sum(one.calibrated for one in known),
        auroc=interval(auroc),
        error=interval(calibration_error),
        level=level,
        answered=len(given) / len(told),
        score_answered=float(given.mean()) if len(given) else float("nan"),
    )

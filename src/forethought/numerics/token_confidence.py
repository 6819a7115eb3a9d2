"""Measures of a trace of token confidences, as DeepConf defines them (arXiv:2508.15260)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

Measure = Literal["lowest", "bottom", "tail", "mean"]
_BOTTOM = 0.1
"""Share of the windows that `bottom` averages."""


def window_means(confidences: Sequence[float], window: int) -> np.ndarray:
    """The mean of each window of this many tokens, in order; of all tokens if they are fewer."""
    values = np.asarray(confidences, dtype=float)
    if len(values) <= window:
        return np.array([values.mean()])
    return np.asarray(np.lib.stride_tricks.sliding_window_view(values, window).mean(-1))


def trace_confidence(confidences: Sequence[float], measure: Measure, window: int) -> float:
    """A measure of a trace of at least one token; high means sure."""
    assert confidences, "a trace has a token"
    match measure:
        case "mean":
            return float(np.mean(confidences))
        case "tail":
            return float(np.mean(confidences[-window:]))
        case "lowest":
            return float(window_means(confidences, window).min())
        case "bottom":
            means = np.sort(window_means(confidences, window))
            return float(means[: max(1, int(len(means) * _BOTTOM))].mean())

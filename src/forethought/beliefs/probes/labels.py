"""Labels of probes, from the sampled answers to one question."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forethought.beliefs.probes.head import Floats

EASY, NORMAL, HARD = 0, 1, 2


def win_or_tie(scores: Sequence[float]) -> Floats:
    """[M] for each answer: the share of the other answers that score no better.

    1 for an only answer, which no other beats.
    """
    values = np.asarray(scores, dtype=float)
    if len(values) < 2:
        return np.ones(len(values))
    no_better = (values[None, :] <= values[:, None]).sum(axis=1) - 1
    return np.asarray(no_better / (len(values) - 1))


def difficulty(accuracy: float, surprise: float, alpha: float, beta: float, gamma: float) -> int:
    """The class of a question by the accuracy and surprise of its answers.

    Normal: accuracy of alpha or more, and surprise of beta or less. Hard: accuracy below gamma.
    Easy: all others. `gamma` is at most `alpha`.
    """
    if accuracy >= alpha and surprise <= beta:
        return NORMAL
    return HARD if accuracy < gamma else EASY

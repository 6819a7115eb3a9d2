from __future__ import annotations

import numpy as np
import pytest

from forethought.numerics.token_confidence import trace_confidence, window_means

TRACE = [float(one) for one in np.random.default_rng(0).uniform(1, 20, 50)]


def test_window_means_are_those_of_a_loop():
    found = window_means(TRACE, 8)
    assert found == pytest.approx([sum(TRACE[at : at + 8]) / 8 for at in range(43)])


def test_the_lowest_window_and_the_lowest_tenth():
    means = sorted(sum(TRACE[at : at + 8]) / 8 for at in range(43))
    assert trace_confidence(TRACE, "lowest", 8) == pytest.approx(means[0])
    assert trace_confidence(TRACE, "bottom", 8) == pytest.approx(sum(means[:4]) / 4)


def test_the_tail_and_the_mean():
    assert trace_confidence(TRACE, "tail", 8) == pytest.approx(sum(TRACE[-8:]) / 8)
    assert trace_confidence(TRACE, "mean", 8) == pytest.approx(sum(TRACE) / 50)


@pytest.mark.parametrize("measure", ["lowest", "bottom", "tail", "mean"])
def test_a_trace_shorter_than_the_window_uses_its_mean(measure):
    assert trace_confidence(TRACE[:5], measure, 2048) == pytest.approx(sum(TRACE[:5]) / 5)

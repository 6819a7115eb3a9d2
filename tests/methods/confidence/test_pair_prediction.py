from __future__ import annotations

import numpy as np
import pytest

from forethought.methods.confidence.pair_prediction import PairPrediction, epistemic_confidence
from tests.methods.confidence.saying import answer, said


def test_the_value_is_the_ratio_of_both_probabilities():
    value, (_, alone, paired) = said(
        PairPrediction(), answer("It is b."), [], [["b"], [(0.2,)], [(0.8,)]]
    )
    assert value == pytest.approx(0.25)
    assert alone.choices == paired.choices == ("b",)
    assert alone.rule == paired.rule == "text"
    assert "Another expert replied: b\n" in paired.questions[0]
    assert "Another expert" not in alone.questions[0]


def test_a_model_that_does_not_change_its_mind_is_sure():
    assert said(PairPrediction(), answer("b"), [], [["b"], [(0.8,)], [(0.8,)]])[0] == 1.0


def test_an_answer_that_states_nothing_has_no_value_and_costs_nothing():
    value, asks = said(PairPrediction(), answer(""), [], [[""]])
    assert value is None
    assert len(asks) == 1


@pytest.mark.parametrize(
    ("first", "second", "value"),
    [(0.0, 0.9, 0.0), (0.2, 0.8, 0.25), (0.8, 0.2, 1.0), (0.3, 0, 1.0)],
)
def test_the_ratio_is_at_most_one_and_zero_without_a_probability(first, second, value):
    assert epistemic_confidence(first, second) == pytest.approx(value)


def test_one_minus_the_ratio_bounds_how_often_an_answer_is_never_given():
    # The answer is impossible for 30 % of the questions, and else follows Beta(2, 5).
    rng = np.random.default_rng(0)
    truth = np.where(rng.random(40_000) < 0.3, 0.0, rng.beta(2, 5, 40_000))
    first = truth.mean()
    second = (truth**2).mean() / first  # a calibrated model, which learns from the first answer
    doubt = 1 - epistemic_confidence(first, second)
    # Of answers that the truth gave, none is impossible; of those that the model gives, this share.
    assert doubt == pytest.approx(0.467, abs=0.01)
    assert doubt >= (truth == 0).mean()

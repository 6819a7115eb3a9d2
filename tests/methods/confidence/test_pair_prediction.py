from __future__ import annotations

import pytest

from forethought.methods.confidence.pair_prediction import PairPrediction
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

from __future__ import annotations

import pytest

from forethought.contracts.search import Reading
from forethought.methods.confidence.group_confidence import GroupConfidence
from tests.methods.confidence.saying import answer, said

TRACE = (4.0, 1.0, 1.0, 6.0, 8.0)


@pytest.mark.parametrize(
    ("measure", "value"), [("lowest", 1.0), ("bottom", 1.0), ("tail", 7.0), ("mean", 4.0)]
)
def test_the_value_is_the_measure_of_the_trace(measure, value):
    method = GroupConfidence(measure=measure, window=2)
    found, asks = said(method, answer("a", token_confidences=TRACE))
    assert found == pytest.approx(value / (1 + value))
    assert asks == []


def test_an_answer_without_tokens_has_no_value():
    assert said(GroupConfidence(), answer("", token_confidences=()))[0] is None


def test_an_answer_without_confidences_may_be_read_again():
    top = (((1, -1.0), (2, -3.0)), ((3, -4.0), (4, -8.0)))
    method = GroupConfidence(measure="lowest", window=1, reread=True)
    one = answer("a", token_ids=(1, 3), token_confidences=None)
    value, (ask,) = said(method, one, [], [[Reading((-1.0, -4.0), top)]])
    assert value == pytest.approx(2.0 / 3.0)
    assert (ask.texts, ask.top, ask.heads) == (((1, 3),), 20, 0)
    assert (method.needs, GroupConfidence().needs) == ({"readings"}, {"token-confidence"})

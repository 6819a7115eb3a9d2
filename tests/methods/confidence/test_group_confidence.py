from __future__ import annotations

import pytest

from forethought.contracts.errors import UsageError
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


def test_a_server_that_reports_no_likeliest_tokens_is_refused():
    with pytest.raises(UsageError, match="needs the likeliest tokens"):
        said(GroupConfidence(), answer("a", token_confidences=None))

"""`prediction`: the predicted answer where it agrees with the one so far."""

from __future__ import annotations

import pytest

from forethought.methods.drafting.prediction import PredictedAnswer


class Source:
    def __init__(self, predicted, ends=()):
        self.prompt, self.predicted, self.ends = (9,), tuple(predicted), frozenset(ends)


def drafted(predicted, answer, most=10, ends=(), **settings):
    return PredictedAnswer(**settings).drafter(Source(predicted, ends)).draft(answer, most).tokens


def test_without_a_prediction_nothing_is_drafted():
    assert PredictedAnswer().drafter(Source(())) is None


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ([1], (2, 3, 4, 5, 6)),
        ([7], ()),
        ([1, 2, 3], (4, 5, 6)),
        ([1, 8, 8, 4, 5], (6,)),
        ([1, 2, 8], ()),
        ([1, 2, 3, 4, 5, 6], ()),
    ],
)
def test_a_draft_is_what_follows_the_newest_tokens_in_the_prediction(answer, expected):
    assert drafted([1, 2, 3, 4, 5, 6], answer) == expected


def test_the_longest_match_decides_and_then_the_latest():
    assert drafted([1, 2, 3, 4, 1, 2, 5, 9, 2, 6], [4, 1, 2]) == (5, 9, 2, 6)
    assert drafted([1, 2, 3, 0, 1, 2, 4], [7, 1, 2]) == (4,)


def test_a_draft_ends_behind_an_end_token():
    assert drafted([1, 2, 3, 4], [1], ends=[3]) == (2, 3)
    assert drafted([1, 2, 3, 4], [1], most=1) == (2,)
    assert drafted([1, 2, 3, 4], [1], tokens=2) == (2, 3)

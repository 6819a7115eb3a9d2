from __future__ import annotations

from forethought.methods.confidence.length import Length
from tests.methods.confidence.saying import answer, said


def test_longer_answers_are_less_sure_and_nothing_is_asked():
    short, asks = said(Length(), answer("a", tokens=3))
    long, _ = said(Length(), answer("a", tokens=30))
    assert (short, long, asks) == (1 / 4, 1 / 31, [])

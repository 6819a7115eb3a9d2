from __future__ import annotations

import pytest

from forethought.contracts.search import Candidate
from forethought.methods.confidence.verbalised import Verbalised, stated_percent
from tests.methods.confidence.saying import answer, said


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("85", 0.85),
        ("85%", 0.85),
        ("I am 92.5 % sure, not 3.", 0.925),
        ("0", 0.0),
        ("100", 1.0),
        ("very sure", None),
        ("-5", None),
        ("101", None),
        ("", None),
    ],
)
def test_the_first_number_is_the_confidence(text, share):
    reply = Candidate(steps=(text,), finish="stop")
    value, (ask,) = said(Verbalised(), answer(" b\n"), [], [[reply]])
    assert value == stated_percent(text) == share
    assert ask.temperature == 0.0
    (parent,) = ask.parents
    assert parent.question.startswith(
        "Question: Letters are listed.\n\nWhich letter?\n\nAnswer: b\n\n"
    )

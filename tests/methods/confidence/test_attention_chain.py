from __future__ import annotations

import math

import numpy as np
import pytest

from forethought.contracts.search import Reading, Reread
from forethought.methods.confidence.attention_chain import AttentionChain, answer_span
from tests.methods.confidence.saying import answer, said

TOKENS = (10, 11, 12, 13)
TEXTS = ("Two", " pens", " cost", " 6")
ONE = answer("Two pens cost 6", token_ids=TOKENS)


def reading(chances, top=(), attention=None):
    logs = tuple(math.log(one) for one in chances)
    best = tuple(tuple((token, math.log(p)) for token, p in place) for place in top)
    similarity = np.ones((4, 4)) if attention is not None else None
    return Reading(logs, best, TEXTS if attention is not None else (), attention, similarity)


def looking(*pairs):
    """Attention from the row that predicts a token to another token."""
    found = np.zeros((4, 4))
    for token, seen in pairs:
        found[token - 1, seen] = 1.0
    return found


SURE = [[(token, 1.0)] for token in TOKENS]


def test_without_likely_alternatives_it_is_the_probability_of_chain_and_answer():
    # " 6" depends on " cost", which depends on " pens"; "Two" is not in the chain.
    read = reading([0.5, 0.9, 0.8, 0.7], SURE, looking((3, 2), (2, 1)))
    value, (_, ask) = said(AttentionChain(), ONE, [], [["6"], [read]])
    assert value == pytest.approx(0.9 * 0.8 * 0.7)
    assert (ask.texts, ask.top, ask.heads) == ((TOKENS,), 5, 16)


def test_alternatives_of_the_chain_add_their_joint_probability():
    top = [SURE[0], SURE[1], [(12, 0.8), (99, 0.2)], [(13, 0.7), (98, 0.3)]]
    read = reading([0.5, 1.0, 0.8, 0.7], top, looking((3, 2)))
    again = [reading([0.5, 1.0, 0.8, 0.7]), reading([0.5, 1.0, 0.2, 0.4])]
    value, (_, _, ask) = said(AttentionChain(), ONE, [], [["6"], [read], again])
    # Only the kept token is changed; the answer's own alternatives are not tried.
    assert ask == Reread((TOKENS, (10, 11, 99, 13)))
    assert value == pytest.approx(0.8 * 0.7 + 0.2 * 0.4)


def test_the_sum_is_at_most_one():
    top = [SURE[0], SURE[1], [(12, 0.8), (99, 0.2)], SURE[3]]
    read = reading([0.5, 1.0, 0.8, 0.7], top, looking((3, 2)))
    again = [reading([1.0, 1.0, 1.0, 1.0]), reading([1.0, 1.0, 0.5, 1.0])]
    assert said(AttentionChain(), ONE, [], [["6"], [read], again])[0] == 1.0


def test_stop_words_and_punctuation_are_not_in_the_chain():
    little = ("Two", " the", ",", " 6")
    read = reading([0.5, 0.1, 0.1, 0.7], SURE, looking((3, 2), (3, 1)))
    read = Reading(read.log_probabilities, read.top, little, read.attention, read.similarity)
    assert said(AttentionChain(), ONE, [], [["6"], [read]])[0] == pytest.approx(0.7)


@pytest.mark.parametrize("stated", ["", "seven"])
def test_an_answer_that_is_not_in_the_text_has_no_value(stated):
    read = reading([0.5, 0.9, 0.8, 0.7], SURE, looking((3, 2)))
    assert said(AttentionChain(), ONE, [], [[stated], [read]])[0] is None


def test_the_span_is_that_of_the_last_occurrence():
    assert answer_span(("6", " is", " 1", "6", "."), "6") == [3]
    assert answer_span(("a 1", "2", "3 b"), "123") == [0, 1, 2]
    assert answer_span(("a",), "") == []

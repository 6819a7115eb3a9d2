from __future__ import annotations

import math

import pytest

from forethought.backends.known import END, KnownBackend
from forethought.contracts.errors import UsageError
from forethought.contracts.search import Candidate
from forethought.methods.scoring.likelihood import Likelihood
from tests.driver.searches import coin, searched
from tests.methods.scoring.toys import Best, candidate, scored


def uneven(question, text):
    """Short answers of likely tokens, long ones of one unlikely and many sure ones."""
    if not text:
        return {"s": 0.5, "l": 0.5}
    if text[0] == "s":
        return {END: 1.0} if len(text) == 3 else {"s": 0.4, "t": 0.6}
    return {END: 1.0} if len(text) == 9 else {"l": 1.0}


def test_it_is_the_geometric_mean_of_the_chances_of_tokens_and_of_the_end():
    found = searched(Best(16), uneven, scorer=Likelihood()).found
    for one, mark in zip(found.considered, found.weights, strict=True):
        chances = {
            "l": 0.5,
            "s": 0.5 * 0.6 ** one.text.count("t") * 0.4 ** (one.text.count("s") - 1),
        }
        assert mark == pytest.approx(chances[one.text[0]] ** (1 / (len(one.text) + 1)))
        assert 0 <= mark <= 1
    assert {one.text for one in found.considered} == {"sss", "sst", "sts", "stt", "l" * 9}


def test_an_end_that_was_uncertain_counts_as_a_token_does():
    def law(question, text):
        return {END: 0.5, "a": 0.5} if text else {"a": 1.0}

    found = searched(Best(16), law, scorer=Likelihood()).found
    assert len({one.text for one in found.considered}) > 2
    for one, mark in zip(found.considered, found.weights, strict=True):
        # The first token is certain, each that follows and the end as likely as not.
        places = len(one.text) + 1
        assert mark == pytest.approx(0.5 ** ((places - 1) / places))


def test_length_is_no_disadvantage():
    found = searched(Best(16), uneven, scorer=Likelihood()).found
    assert found.best.text == "l" * 9


def test_nothing_written_is_certain_and_rounding_stays_within_1():
    beyond = candidate("a", log_probability=1e-12)
    assert scored(Likelihood(), [Candidate(), beyond])[0] == [1.0, 1.0]
    assert scored(Likelihood(), [candidate("a", "b", log_probability=-2.0)])[0] == [math.exp(-2)]


def test_a_server_that_tells_no_chances_is_refused():
    backend = KnownBackend(coin(), abilities=frozenset({"steps", "verdicts"}))
    with pytest.raises(UsageError, match="log-probabilities"):
        searched(Best(), backend=backend, scorer=Likelihood())

"""Votes of whole answers, on laws whose every probability is known."""

from __future__ import annotations

import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from forethought.backends.known import END, KnownBackend
from forethought.contracts.errors import UsageError
from forethought.methods.search.majority_vote import MajorityVote
from forethought.tasks.same_answers import SameAnswers
from tests.driver.searches import searched, three_steps


def short_or_long(question, text):
    """One letter x or eight y, equally often: on average a token of the long is likelier."""
    if not text:
        return {"x": 0.5, "y": 0.5}
    return {END: 1.0} if text in ("x", "y" * 8) else {"y": 1.0}


def halves(question, text):
    """One number, written in two ways, and another."""
    return {END: 1.0} if text else {"0.5": 0.3, "1/2": 0.3, "3": 0.4}


def test_weights_by_probability_need_a_back_end_that_tells_it():
    backend = KnownBackend(halves, abilities=frozenset({"steps"}))
    assert searched(MajorityVote(n=2), backend=backend).found
    with pytest.raises(UsageError, match="log-probabilities"):
        searched(MajorityVote(n=2, weight="probability"), backend=backend)


def test_one_answer_alone_and_silence_decide_nothing():
    def silent(question, text):
        return {END: 1.0}

    assert searched(MajorityVote(n=6, window=1, confident=0.6), halves).written >= 2
    assert searched(MajorityVote(n=6, window=1, confident=0.4), silent).written == 6


def test_nothing_more_is_asked_for_once_the_budget_ended_an_answer():
    done = searched(MajorityVote(n=900, window=4, confident=0.999), three_steps, budget="20tok")
    assert done.cost.output_tokens == 20
    assert done.written == 4


def test_a_likely_answer_outweighs_several_unlikely_ones():
    outweighed = 0
    for seed in range(20):
        found = searched(MajorityVote(n=9, weight="probability"), short_or_long, seed=seed).found
        counts = Counter(one.text for one in found.considered)
        weighed = {"x": counts["x"] * 0.5 ** (1 / 2), "y" * 8: counts["y" * 8] * 0.5 ** (1 / 9)}

        assert found.best.text == max(weighed, key=weighed.get)
        assert found.confidence == pytest.approx(max(weighed.values()) / sum(weighed.values()))
        outweighed += found.best.text != counts.most_common(1)[0][0]
    assert outweighed


def test_votes_are_counted_on_any_thread():
    def vote(seed):
        return searched(MajorityVote(n=9), halves, reader=SameAnswers(), seed=seed).found

    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(vote, range(6)))

    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    for one in found:
        threes = sum(answer.text == "3" for answer in one.considered)
        assert (one.best.text == "3") == (threes > 4)
        assert one.confidence == pytest.approx(max(threes, 9 - threes) / 9)

"""Starting over by a head's outputs, on laws and values that are known."""

from __future__ import annotations

import math

import pytest

from forethought.backends.known import END, KnownBackend
from forethought.contracts.candidates import ProbeOutput
from forethought.methods.search.adaptive import Adaptive
from forethought.methods.search.majority_vote import MajorityVote
from forethought.methods.search.restart_gain import RestartGain
from tests.beliefs.probes.probe_files import random_probe
from tests.driver.searches import searched, three_steps

PLAIN = {"window": 1, "begin": 0, "annealed": False}


@pytest.fixture
def head(tmp_path):
    return str(tmp_path / "h"), random_probe(tmp_path / "h", "restart-gain", "net", 4)


def levels(question, text):
    """Ten qualities, equally likely."""
    return {END: 1.0} if text else dict.fromkeys("0123456789", 0.1)


def ran(head, law=levels, value=lambda text: (int(text) + 1) / 10, *, seed=0, **settings):
    file, key = head
    backend = KnownBackend(
        law,
        probe=lambda text: (ProbeOutput(key, (value(text) if text else 0.0,)),),
        abilities=frozenset({"steps", "probes"}),
    )
    return searched(RestartGain(file, digest=key, **settings), backend=backend, seed=seed)


@pytest.mark.parametrize("begin", [0, 2])
def test_with_n_1_it_is_the_plain_answer(head, begin):
    for seed in range(4):
        settings = {**PLAIN, "n": 1, "begin": begin}
        found = ran(head, three_steps, lambda text: 0.5, seed=seed, **settings).found
        assert found.best.text == searched(MajorityVote(n=1), seed=seed).found.best.text


def test_a_threshold_of_0_takes_one_answer_and_none_takes_the_best_of_all(head):
    assert ran(head, n=8, enough=0.0, **PLAIN).written == 1
    for seed in range(6):
        found = ran(head, n=8, enough=None, seed=seed, **PLAIN).found
        assert len(found.considered) == 8
        assert int(found.best.text) == max(int(one.text) for one in found.considered)


def test_the_number_of_answers_is_that_of_optional_stopping(head):
    most, runs = 6, 200
    drawn = [
        len(ran(head, n=most, enough=0.8, seed=seed, **PLAIN).found.considered)
        for seed in range(runs)
    ]
    # Three of ten are good enough; the deviation of one count is below 1.9.
    expected = sum(0.7**place for place in range(most))
    assert sum(drawn) / runs == pytest.approx(expected, abs=3 * 1.9 / math.sqrt(runs))


def test_the_worse_partial_answers_are_given_up_without_a_request(head):
    settings = {"n": 8, "window": 8, "begin": 2, "keep": 0.25, "annealed": False, "enough": None}
    done = ran(head, three_steps, lambda text: 0.9 - 0.3 * "abc".index(text[0]), **settings)
    begun = [*done.found.pruned, *done.found.considered]

    assert len(done.found.considered) == 2
    assert len(done.found.pruned) == 6
    firsts = sorted(one.text[0] for one in begun)
    assert sorted(one.text[0] for one in done.found.considered) == firsts[:2]
    assert done.cost.scoring_tokens == 0


def test_its_defaults_are_those_of_adaptive():
    own, other = RestartGain("file"), Adaptive()
    names = ("n", "enough", "window", "begin", "keep", "annealed")
    assert [getattr(own, name) for name in names] == [getattr(other, name) for name in names]

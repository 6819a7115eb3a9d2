"""How sure a model was of what it wrote, on laws whose every probability is known."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from forethought.backends.known import END, KnownBackend
from forethought.contracts.errors import UsageError
from forethought.contracts.search import Found, Piece, Strategy, write
from forethought.methods.scoring.self_certainty import SelfCertainty
from tests.driver.searches import coin, searched
from tests.methods.scoring.toys import Best, candidate, scored

FIRST = {"s": 0.5, "u": 0.5}
SURE, UNSURE = {"x": 0.97, "y": 0.01, "z": 0.02}, {"x": 0.4, "y": 0.3, "z": 0.3}


def mixed(question, text):
    """After s the model is sure of what follows, after u it is not; the same may be written."""
    if not text:
        return FIRST
    if len(text) == 4:
        return {END: 1.0}
    return SURE if text[0] == "s" else UNSURE


def divergence(law):
    """From uniform to the law, by its definition."""
    share = 1 / len(law)
    return sum(share * math.log(share / chance) for chance in law.values())


def mean(text):
    after = SURE if text[0] == "s" else UNSURE
    return (divergence(FIRST) + 3 * divergence(after)) / 4


def test_it_is_the_mean_over_tokens_of_the_divergence_from_uniform():
    found = searched(Best(16), mixed, scorer=SelfCertainty()).found
    for one, mark in zip(found.considered, found.weights, strict=True):
        assert mark == pytest.approx(mean(one.text) / (1 + mean(one.text)))
    assert found.best.text[0] == "s"
    assert {one.text[0] for one in found.considered} == {"s", "u"}


def test_it_looks_at_what_could_have_been_written_not_at_what_was():
    found = searched(Best(64), mixed, scorer=SelfCertainty()).found
    marks = {}
    for one, mark in zip(found.considered, found.weights, strict=True):
        marks.setdefault(one.text[0], set()).add(round(mark, 12))
    assert {first: len(seen) for first, seen in marks.items()} == {"s": 1, "u": 1}
    assert len({one.text for one in found.considered if one.text[0] == "u"}) > 3


def test_pieces_add_up_to_what_is_written_at_once():
    class ByTwo(Strategy):
        def search(self, start, rng):
            one = start
            while not one.done:
                (one,) = yield from write([one], max_tokens=2)
            return Found(one, (one,))

    for seed in range(6):
        parts = searched(ByTwo(), mixed, seed=seed).found.best
        whole = searched(Best(1), mixed, scorer=SelfCertainty(), seed=seed).found.best
        assert len(parts.steps) > 1
        assert parts.text == whole.text
        assert parts.certainty == pytest.approx(whole.certainty)
        short = searched(ByTwo(), mixed, seed=seed, budget="3tok").found.best
        after = SURE if short.text[0] == "s" else UNSURE
        assert short.certainty == pytest.approx(divergence(FIRST) + 2 * divergence(after))


def test_what_is_gone_on_with_once_others_left_room_adds_up_too():
    def law(question, text):
        """One token, or eight, of which the model is ever less sure."""
        if not text:
            return FIRST
        if text[0] == "s" or len(text) == 8:
            return {END: 1.0}
        return {"x": 1 - 0.1 * len(text), "y": 0.1 * len(text)}

    for seed in range(12):
        done = searched(Best(2), law, scorer=SelfCertainty(), budget="11tok", seed=seed)
        free = searched(Best(2), law, scorer=SelfCertainty(), seed=seed)
        if {one.tokens for one in free.found.considered} == {1, 8}:
            assert [one.certainty for one in done.found.considered] == pytest.approx(
                [one.certainty for one in free.found.considered]
            )
            return
    pytest.fail("no seed drew one of each")


def test_scores_lie_between_0_and_1_in_the_order_of_certainty():
    ones = [replace(candidate("a", "b"), certainty=sure) for sure in (0.0, 1.0, 30.0, 1e9)]
    marks, asks = scored(SelfCertainty(), ones)
    assert asks == []
    assert marks == sorted(marks)
    assert marks[:2] == [0.0, pytest.approx(1 / 3)]
    assert 0.99 < marks[3] <= 1
    assert scored(SelfCertainty(), [candidate()])[0] == [0.0]


def test_what_nobody_told_is_an_error_and_no_score():
    told, untold = Piece("a", (), 1, -1.0, "step", certainty=2.0), Piece("b", (), 1, -1.0, "stop")
    one = candidate().grown(0, told)
    assert one.certainty == 2.0
    assert one.grown(0, untold).certainty is None
    assert one.grown(0, untold).grown(0, told).certainty is None
    with pytest.raises(UsageError, match="not told how sure"):
        scored(SelfCertainty(), [one.grown(0, untold)])


def test_a_server_that_does_not_tell_is_refused():
    backend = KnownBackend(coin(), abilities=frozenset({"steps", "log-probabilities", "verdicts"}))
    with pytest.raises(UsageError, match="certainty"):
        searched(Best(), backend=backend, scorer=SelfCertainty())
    assert not backend.asked

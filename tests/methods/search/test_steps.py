"""What a step gives, and what all stepwise searches do once the budget ends one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forethought.contracts.search import Candidate, Score, Write
from forethought.methods.search._answers import budget_spent
from forethought.methods.search._choice import AnswerOption
from forethought.methods.search._steps import duplicates, next_steps, start_option
from forethought.methods.search.a_star import AStar
from forethought.methods.search.beam import Beam
from forethought.methods.search.dvts import DVTS
from forethought.methods.search.mcts import MCTS
from forethought.methods.search.smc import SMC
from forethought.methods.search.step_beam import StepBeam
from tests.methods.search.by_hand import Hand, liking, lines


class Cutting(Hand):
    """The budget ends with the second child of whatever has one line."""

    def child(self, parent, ask):
        grown = super().child(parent, ask)
        second = len(parent.path) == 1 and grown.path[-1] == 1
        return replace(grown, finish="budget") if second else grown


def scored(hand):
    return [one for ask in hand.asks if isinstance(ask, Score) for one in ask.candidates]


def test_a_step_is_worth_its_score_and_a_cut_one_its_parents():
    hand = Cutting(lines(0.5, 3), seed=0)
    parent = AnswerOption(Candidate((4,), steps=("a\n",), tokens=2), 0.7, 0.7)
    drawn = hand.run(next_steps([parent] * 3, until="step", delimiter="\n"))

    assert [one.candidate.finish for one in drawn] == ["", "budget", ""]
    assert [one.score for one in drawn] == [
        liking(drawn[0].candidate.text),
        0.7,
        liking(drawn[2].candidate.text),
    ]
    assert [one.weight for one in drawn] == [one.score for one in drawn]
    assert scored(hand) == [drawn[0].candidate, drawn[2].candidate]
    assert budget_spent(one.candidate for one in drawn)
    assert not budget_spent(one.candidate for one in drawn[::2])


def test_twins_are_equal_texts_that_both_go_on_or_both_ended():
    said = [("a", ""), ("b", ""), ("a", "stop"), ("a", ""), ("a", "stop"), ("b", "length")]
    drawn = [Candidate(steps=(text,), finish=end) for text, end in said]
    assert duplicates(drawn) == [False, False, False, True, True, False]
    assert start_option(Candidate()).score == 0


def test_twins_say_the_same_from_their_beginning_on_in_whatever_steps():
    said = [("a\n", "c"), ("b\n", "c"), ("a\nc",), ("c",)]
    assert duplicates(Candidate(steps=steps) for steps in said) == [False, False, True, False]


@pytest.mark.parametrize(
    "method",
    [
        Beam(n=4, width=4, delimiter="\n"),
        DVTS(trees=2, width=3, delimiter="\n"),
        AStar(delimiter="\n"),
        SMC(n=5, resample_below=1.0, delimiter="\n"),
        StepBeam(width=2, n=2, delimiter="\n"),
        MCTS(n=2, delimiter="\n"),
    ],
)
def test_nothing_is_written_once_the_budget_ended_a_step(method):
    stopped = 0
    for seed in range(10):
        hand = Cutting(lines(0.5, 3), seed=seed)
        hand.search(method)
        # A line that was copied or grown several ways has a second child.
        writes = [at for at, ask in enumerate(hand.asks) if isinstance(ask, Write)]
        ends = [
            at
            for at in writes
            if max(hand.asks[at].parents.count(one) for one in hand.asks[at].parents) > 1
            and len(hand.asks[at].parents[0].path) == 1
        ]
        if ends:
            assert writes[-1] == ends[0]
            stopped += 1
        assert not any(one.finish == "budget" for one in scored(hand))
    assert stopped > 2

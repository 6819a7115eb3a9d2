"""Scorers that run a model of their own are charged before they do, and held to the budget."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from forethought.backends.known import KnownBackend
from forethought.contracts.records import Cost
from forethought.contracts.search import Found, Scorer, Strategy, charge, score, write
from tests.driver.searches import coin, searched

LAW = coin(0.7, length=3)
"""Three tokens and three FLOPs an answer."""


@dataclass(frozen=True)
class Reads(Scorer):
    """Reads every candidate with a model of its own."""

    flops: float
    seen: list

    def score(self, question, candidates):
        yield from charge(Cost(scoring_tokens=len(candidates), flops=self.flops * len(candidates)))
        self.seen.extend(candidates)
        return [0.25 if one.text == "aaa" else 0.75 for one in candidates]


@dataclass(frozen=True)
class OneByOne(Strategy):
    """Writes and scores one answer after another."""

    n: int = 4

    def search(self, start, rng):
        answers, marks = [], []
        for _ in range(self.n):
            answers += yield from write([start])
            marks += yield from score(answers[-1:])
        return Found(answers[marks.index(max(marks))], tuple(answers), tuple(marks))


def spent(budget, flops=5.0, n=4):
    scorer = Reads(flops, [])
    return searched(OneByOne(n), LAW, scorer=scorer, budget=budget), scorer


def test_what_a_scorer_spends_is_part_of_the_cost():
    done, scorer = spent("")
    assert len(scorer.seen) == 4
    assert done.cost.flops == 4 * (3 + 5)
    assert done.cost.scoring_tokens == 4
    assert done.cost.output_tokens == 4 * 3


@pytest.mark.parametrize("flops", range(9, 40))
def test_a_scorer_never_overshoots_and_the_best_that_is_whole_is_given(flops):
    done, scorer = spent(f"{flops}FLOP")
    assert done.cost.flops <= flops
    assert len(scorer.seen) == done.cost.scoring_tokens
    assert done.budget_spent == (len(scorer.seen) < 4)
    assert done.found.best.finish == "stop"
    best = max(done.scores.values())
    assert done.scores[done.found.best.identity] == best


def test_a_budget_that_is_just_enough_for_the_scorer_is_enough():
    done, _ = spent("8FLOP", n=1)
    assert not done.budget_spent
    assert done.cost.flops == 8

    done, scorer = spent("7FLOP", n=1)
    assert done.budget_spent
    assert not scorer.seen
    assert "before the candidates were judged" in done.found.notes[0]


def test_without_any_whole_answer_a_charge_beyond_the_budget_leaves_the_beginning():
    @dataclass(frozen=True)
    class Beginnings(Strategy):
        def search(self, start, rng):
            half = yield from write([start], max_tokens=1)
            yield from score(half)
            return Found(half[0])

    done = searched(Beginnings(), LAW, scorer=Reads(50.0, []), budget="20FLOP")
    assert done.budget_spent
    assert done.found.best.tokens == 1
    assert "before the candidates" in done.found.notes[0]


def test_a_scorer_does_not_begin_once_the_time_is_over():
    class Slow(KnownBackend):
        """A clock that has run out as soon as an answer is there."""

        def now(self):
            return 100.0 if self.asked and not self._waiting else self.clock

    scorer = Reads(1.0, [])
    done = searched(OneByOne(1), backend=Slow(LAW), scorer=scorer, budget="50s")
    assert done.budget_spent
    assert not scorer.seen
    assert done.cost.scoring_tokens == 0

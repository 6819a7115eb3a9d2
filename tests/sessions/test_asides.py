"""What is written on the way to an answer, and is none."""

from dataclasses import replace

import pytest

from forethought.backends.known import KnownBackend
from forethought.contracts.errors import BudgetSpentError
from forethought.contracts.search import Candidate, Found, Strategy, verdicts, write
from tests.driver.searches import QUESTION, searched, three_steps


class Criticised(Strategy):
    """Something written aside, perhaps an answer, and more verdicts than can be paid."""

    def __init__(self, answers=1):
        self.answers = answers

    def search(self, start, rng):
        yield from write([Candidate(question="Criticise!")] * 8)
        said = yield from write([replace(start, question="Again?")] * self.answers)
        for _ in range(50):
            yield from verdicts(["?"], ("yes", "no"))
        return Found(said[0])


class Started(Strategy):
    def search(self, start, rng):
        (one,) = yield from write([start])
        return Found(one, notes=(start.asked, one.asked))


def spent(strategy, seed):
    backend = KnownBackend(three_steps, verdict_flops=9.0)
    return searched(strategy, backend=backend, budget="200FLOP", seed=seed)


@pytest.mark.parametrize("seed", range(6))
def test_an_aside_is_not_what_a_spent_budget_ends_with(seed):
    done = spent(Criticised(), seed)
    assert done.budget_spent
    assert done.found.best.question == "Again?"
    assert {one.question for one in done.found.considered} == {"Again?"}


def test_asides_alone_are_no_answer():
    with pytest.raises(BudgetSpentError):
        spent(Criticised(answers=0), 0)


class Interrupted(KnownBackend):
    """Ctrl-C comes when it has waited three times."""

    polls = 0

    def poll(self, until=None):
        self.polls += 1
        if self.polls == 4:
            raise KeyboardInterrupt
        return super().poll(until)


def test_an_aside_is_not_what_an_interruption_ends_with():
    done = searched(Criticised(), backend=Interrupted(three_steps))
    assert done.cut == "interrupted"
    assert done.found.best.question == "Again?"


def test_a_search_is_told_the_question_with_its_document():
    assert searched(Started()).found.notes == ("What?", "What?")
    asked = replace(QUESTION, document="Long ago.")
    assert searched(Started(), question=asked).found.notes == ("Long ago.\n\nWhat?",) * 2

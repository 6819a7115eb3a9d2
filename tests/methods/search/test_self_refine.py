"""Critique and revision, on laws that answer to what they are asked."""

import pytest

from forethought.backends.known import END, KnownBackend
from forethought.methods.search.majority_vote import MajorityVote
from forethought.methods.search.self_refine import SelfRefine
from tests.driver.searches import QUESTION, searched, three_steps


def writer(question, text):
    """Each revision is one better than what it revises."""
    if text:
        return {END: 1.0}
    if "Point out every mistake" in question:
        return {f"{{critique}} of {level_in(question)}": 1.0}
    return (
        {f"level {level_in(question) + 1}": 1.0} if "given before" in question else {"level 0": 1.0}
    )


def level_in(question):
    return int(question.split("level ")[1].split("\n")[0])


class Reader:
    """Finds a mistake below a level."""

    def __init__(self, content=2, doubt=0.9):
        self.content, self.doubt, self.pages = content, doubt, []

    def __call__(self, page, choices):
        assert choices == ("Yes", "No")
        self.pages.append(page)
        level = int(page.split("{critique} of ")[1].split("\n")[0])
        yes = self.doubt if level < self.content else 1 - self.doubt
        return (yes, 1 - yes)


class Recorded(KnownBackend):
    def submit(self, request):
        parent = getattr(request, "parent", None)
        if parent is not None:
            self.__dict__.setdefault("questions", []).append(parent.question)
        super().submit(request)


def ran(strategy, reader=None, law=writer, **settings):
    backend = Recorded(law, opinion=reader or Reader(), verdict_flops=5.0)
    return searched(strategy, backend=backend, **settings), backend


@pytest.mark.parametrize("seed", range(6))
def test_with_no_rounds_it_is_the_plain_answer(seed):
    found = searched(SelfRefine(rounds=0), three_steps, seed=seed).found
    assert found.best == searched(MajorityVote(n=1), seed=seed).found.best


@pytest.mark.parametrize(("content", "expected"), [(0, 0), (1, 1), (2, 2), (9, 3)])
def test_it_revises_until_no_mistake_is_found(content, expected):
    done, backend = ran(SelfRefine(), Reader(content))
    assert done.found.best.text == f"level {expected}"
    assert [one.text for one in done.found.considered] == [
        f"level {n}" for n in range(expected + 1)
    ]
    assert done.found.weights == (0.0,) * expected + (1.0,)
    assert len(backend.questions) == 1 + 2 * expected + (expected < 3)


def test_doubt_says_when_to_revise():
    assert ran(SelfRefine(doubt=0.3), Reader(9, 0.4))[0].found.best.text == "level 3"
    assert ran(SelfRefine(doubt=0.5), Reader(9, 0.4))[0].found.best.text == "level 0"
    assert ran(SelfRefine(doubt=0.4), Reader(9, 0.4))[0].found.best.text == "level 3"
    assert ran(SelfRefine(doubt=0.0), Reader(0))[0].found.best.text == "level 3"


def test_prompts_hold_the_question_the_newest_answer_and_its_critique():
    _done, backend = ran(SelfRefine(rounds=2), Reader(9))
    first, critique, revision, again, last = backend.questions
    assert first == ""
    for question in (critique, revision, again, last):
        assert QUESTION.text in question
    assert "level 0" in critique
    assert "level 0" in revision
    assert "{critique} of 0" in revision
    assert "level 1" in again
    assert "level 0" not in again
    assert "{critique} of 1" in last


def test_a_critique_is_never_the_answer_whatever_the_budget():
    for budget in [f"{n}tok" for n in range(1, 9)] + [f"{n}FLOP" for n in range(1, 40)]:
        done, _ = ran(SelfRefine(), Reader(9), budget=budget)
        assert done.found.best.text.startswith("level")
        assert all(one.text.startswith("level") or not one.text for one in done.found.considered)


def test_a_critique_that_was_cut_is_not_judged():
    reader = Reader(9)
    assert ran(SelfRefine(), reader, budget="2tok")[0].found.best.text == "level 0"
    assert not reader.pages


def test_a_revision_that_says_nothing_is_not_taken():
    def silent(question, text):
        if "given before" in question:
            return {END: 1.0}
        return writer(question, text)

    done, backend = ran(SelfRefine(), Reader(9), silent)
    assert done.found.best.text == "level 0"
    assert len(backend.questions) == 3


def test_without_a_budget_for_a_verdict_the_newest_revision_is_taken_though_less_likely():
    def unsure(question, text):
        if text or "given before" not in question:
            return writer(question, text)
        level = level_in(question) + 1
        return {f"level {level}": 0.6, f"level 0{level}": 0.4}

    done, _ = ran(SelfRefine(), Reader(9), unsure, budget="12FLOP")
    assert [int(one.text.split()[1]) for one in done.found.considered] == [0, 1]
    assert done.found.best == done.found.considered[1]
    assert done.budget_spent
    assert "before the candidates were judged" in done.found.notes[0]

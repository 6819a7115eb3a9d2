from __future__ import annotations

from dataclasses import replace

import pytest

from forethought.backends.known import KnownBackend
from forethought.contracts.errors import UsageError
from forethought.contracts.questions import Question
from forethought.contracts.search import Verdict
from forethought.methods.scoring.self_judge import SelfJudge
from tests.driver.searches import coin, searched
from tests.methods.scoring.toys import Best, candidate, scored

ASKED = Question("q", "Which letter?", document="Letters are listed.")


def prompts(*candidates, question=ASKED):
    chances = [[(0.5, 0.5)] * len(candidates)]
    _, (ask,) = scored(SelfJudge(), candidates, question, chances)
    assert ask.choices == ("Yes", "No")
    return ask.questions


def test_the_model_is_shown_document_question_and_answer():
    (prompt,) = prompts(candidate(" The letter", " a.\n"))
    assert prompt == (
        "Question: Letters are listed.\n\nWhich letter?\n\nAnswer: The letter a.\n\n"
        "Is this answer right? Reply with Yes or No."
    )


def test_without_a_document_there_is_none_in_front():
    (prompt,) = prompts(candidate("a"), question=Question("q", "Which letter?"))
    assert prompt.startswith("Question: Which letter?\n\nAnswer: a\n\n")


def test_a_beginning_is_not_called_an_answer():
    whole, begun = prompts(candidate("a", finish="length"), candidate("a", finish=""))
    assert "Is this answer right?" in whole
    assert "not finished yet. Is it right so far?" in begun


def test_a_candidate_with_a_question_of_its_own_is_judged_by_that():
    (prompt,) = prompts(candidate("a", question="Which vowel?"))
    assert prompt.startswith("Question: Which vowel?\n")
    assert "listed" not in prompt


def test_a_revision_is_judged_by_what_the_run_asks_not_by_how_it_was_asked_for():
    revised = replace(candidate("a", question="Write it anew."), asked=ASKED.asked)
    assert prompts(revised) == prompts(candidate("a"))


def test_the_score_is_the_chance_of_yes_for_each_in_order():
    chances = [[(0.9, 0.1), (0.2, 0.8)]]
    assert scored(SelfJudge(), [candidate("a"), candidate("b")], ASKED, chances)[0] == [0.9, 0.2]


def test_nobody_is_asked_about_nothing():
    assert scored(SelfJudge(), []) == ([], [])


def test_the_answer_it_believes_in_is_found():
    def opinion(question, choices):
        assert choices == ("Yes", "No")
        return (0.8, 0.2) if "Answer: bbb" in question else (0.3, 0.7)

    backend = KnownBackend(coin(0.7), opinion=opinion)
    found = searched(Best(8), backend=backend, scorer=SelfJudge()).found
    assert {one.text for one in found.considered} == {"aaa", "bbb"}
    assert found.best.text == "bbb"
    assert sorted(set(found.weights)) == [0.3, 0.8]


def test_all_candidates_are_asked_about_at_once():
    backend = KnownBackend(coin(0.7), verdict_flops=2.0)
    done = searched(Best(5), backend=backend, scorer=SelfJudge())
    assert len(backend.asked) == 5 + 1
    assert done.cost.flops == 5 * 3 + 5 * 2


def test_a_server_that_gives_no_verdicts_is_refused():
    backend = KnownBackend(coin(), abilities=frozenset({"log-probabilities"}))
    with pytest.raises(UsageError, match="verdicts"):
        searched(Best(), backend=backend, scorer=SelfJudge())
    assert not backend.asked


def test_asks_are_verdicts():
    _, asks = scored(SelfJudge(), [candidate("a")], ASKED, [[(0.5, 0.5)]])
    assert [type(ask) for ask in asks] == [Verdict]

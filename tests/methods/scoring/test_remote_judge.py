"""What a judge on a server is shown, and what its verdicts come to."""

from __future__ import annotations

import pytest

from forethought import catalogue
from forethought.contracts.errors import BadParameterError
from forethought.contracts.questions import Question
from forethought.contracts.search import Verdict
from forethought.methods.scoring.remote_judge import RemoteJudge
from tests.methods.scoring.toys import candidate, scored

ASKED = Question("q", "Which letter?", document="Letters are listed.")
SERVER = "http://judge:8000/v1#wise"


def shown(scorer, *candidates):
    row = (0.5, 0.5) if scorer.asks == "yes-no" else (0.1,) * 10
    _, (ask,) = scored(scorer, candidates, ASKED, [[row] * len(candidates)])
    assert isinstance(ask, Verdict)
    assert ask.by == SERVER
    return ask


def test_the_judge_is_shown_document_question_and_answer():
    ask = shown(RemoteJudge(SERVER), candidate(" The letter", " a.\n"))
    assert ask.choices == ("Yes", "No")
    assert ask.questions == (
        "Question: Letters are listed.\n\nWhich letter?\n\nAnswer: The letter a.\n\n"
        "Is this answer right? Reply with Yes or No, and nothing else.",
    )


def test_a_beginning_is_not_called_an_answer():
    whole, begun = shown(
        RemoteJudge(SERVER), candidate("a", finish="length"), candidate("a", finish="")
    ).questions
    assert "not finished yet" not in whole
    assert "not finished yet" in begun


def test_a_prompt_of_ones_own_is_filled_in_and_what_an_answer_holds_is_not():
    scorer = RemoteJudge(SERVER, prompt="{answer} for {question} {x}").on_task(None)
    (asked,) = shown(scorer, candidate("{question} {answer}")).questions
    assert asked == "{question} {answer} for Letters are listed.\n\nWhich letter? {x}"
    odd, rows = Question("q", "What is {answer}?"), [[(0.5, 0.5)]]
    _, (ask,) = scored(scorer, [candidate("a {place}")], odd, rows)
    assert ask.questions == ("a {place} for What is {answer}? {x}",)


@pytest.mark.parametrize("prompt", ["Is it right?", "{question}", "{answer}!"])
def test_a_prompt_that_does_not_show_both_is_refused(prompt):
    with pytest.raises(BadParameterError, match="does not show both"):
        RemoteJudge(SERVER, prompt=prompt).on_task(None)


def test_the_score_is_the_chance_of_yes_for_each_in_order():
    rows = [[(0.9, 0.1), (0.2, 0.8)]]
    ones = [candidate("a"), candidate("b")]
    assert scored(RemoteJudge(SERVER), ones, ASKED, rows)[0] == [0.9, 0.2]


def test_grades_are_weighed_by_their_chances():
    scorer = RemoteJudge(SERVER, asks="grade")
    assert shown(scorer, candidate("a")).choices == tuple("0123456789")
    sure = [tuple(float(place == grade) for place in range(10)) for grade in (0, 9, 6)]
    torn = (0.5, *(0.0,) * 8, 0.5)
    found, _ = scored(scorer, [candidate(c) for c in "abcd"], ASKED, [[*sure, torn]])
    assert found == pytest.approx([0.0, 1.0, 6 / 9, 0.5])


def test_nobody_is_asked_about_nothing():
    assert scored(RemoteJudge(SERVER), []) == ([], [])


def test_it_is_spelled_with_its_address():
    text = f"remote-judge(server='{SERVER}', asks=grade)"
    found = catalogue.build(text, "scorers")
    assert found == RemoteJudge(SERVER, asks="grade")
    assert found.by == SERVER
    assert catalogue.build(catalogue.spelled(found), "scorers") == found
    with pytest.raises(BadParameterError, match="needs server"):
        catalogue.build("remote-judge", "scorers")

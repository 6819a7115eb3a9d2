"""What a search that was ended from outside came to."""

from __future__ import annotations

from dataclasses import replace

from forethought.contracts.search import Candidate
from forethought.driver.partial_results import best_so_far


def beginning(*path, finish=""):
    return Candidate(path, steps=("x",) * len(path), tokens=len(path), finish=finish)


def test_what_others_grew_from_is_no_answer_of_its_own():
    written = [beginning(0), beginning(1), beginning(0, 0), beginning(0, 1), beginning(0, 1, 0)]
    found = best_so_far(written, {}, ())
    assert [one.path for one in found.considered] == [(1,), (0, 0), (0, 1, 0)]
    assert found.best.path == (0, 1, 0)


def test_a_beginning_is_worth_what_it_scored_last():
    # The best first step had grown by one that nobody scored; the worst was given up.
    written = [beginning(0), beginning(1), beginning(0, 0), beginning(0, 0, 0)]
    scores = {written[0].identity: 0.9, written[1].identity: 0.1}
    assert best_so_far(written, scores, ()).best.path == (0, 0, 0)


def test_answers_to_another_question_are_no_beginnings_of_these():
    asked = replace(beginning(0, 0, finish="stop"), question="auf Deutsch?", asked="in English?")
    found = best_so_far([beginning(0, finish="stop"), asked], {}, ())
    assert len(found.considered) == 2


def test_whole_answers_come_first_and_of_those_the_best_scored():
    long, poor, good = beginning(0, 0), beginning(1, finish="stop"), beginning(2, finish="stop")
    scores = {poor.identity: 0.1, good.identity: 0.9, long.identity: 1.0}
    found = best_so_far([long, poor, good], scores, ("why",))
    assert (found.best, found.considered, found.notes) == (good, (poor, good), ("why",))
    assert best_so_far([Candidate()], {}, ()) is None

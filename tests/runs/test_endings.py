"""What a search that was ended from outside came to."""

from __future__ import annotations

from forethought.contracts.search import Candidate
from forethought.runs.endings import best_so_far


def beginning(*path, finish=""):
    return Candidate(path, steps=("x",) * len(path), tokens=len(path), finish=finish)


def test_what_others_grew_from_is_no_answer_of_its_own():
    written = [beginning(0), beginning(1), beginning(0, 0), beginning(0, 1), beginning(0, 1, 0)]
    found = best_so_far(written, {}, ())
    assert [one.path for one in found.considered] == [(1,), (0, 0), (0, 1, 0)]
    assert found.best.path == (0, 1, 0)


def test_whole_answers_come_first_and_of_those_the_best_scored():
    long, poor, good = beginning(0, 0), beginning(1, finish="stop"), beginning(2, finish="stop")
    scores = {poor.identity: 0.1, good.identity: 0.9, long.identity: 1.0}
    found = best_so_far([long, poor, good], scores, ("why",))
    assert (found.best, found.considered, found.notes) == (good, (poor, good), ("why",))
    assert best_so_far([Candidate()], {}, ()) is None

"""Programs that are scored by running tests, in the sandbox."""

from __future__ import annotations

import json

import pytest

from forethought import catalogue
from forethought.backends.known import END
from forethought.contracts.errors import UsageError
from forethought.methods.scoring.unit_tests import UnitTests
from forethought.tasks.sandbox import SandboxError
from tests.driver.searches import searched
from tests.methods.scoring.toys import Best, Letters, candidate, scored

ROW = {
    "task_id": "Mine/0",
    "prompt": 'def twice(x):\n    """ Twice x.\n    >>> twice(0)\n    0\n    >>> twice(2)\n    4\n'
    '    """\n',
    "entry_point": "twice",
    "test": "def check(candidate):\n    assert candidate(0) == 0\n    assert candidate(2) == 4\n"
    "    assert candidate(3) == 6\n    assert candidate(-1) == -2\n",
}
RIGHT, SQUARE, NOTHING, BROKEN = (f"    return {value}\n" for value in ("x + x", "x * x", "0", "("))


@pytest.fixture
def task(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(ROW) + "\n")
    return catalogue.build(f"humaneval(path='{file}', seconds=5)", "tasks")


def scores(scorer, task, *texts):
    (question,) = task.questions(len)
    found, asks = scored(scorer.on_task(task), [candidate(text) for text in texts], question)
    assert asks == []
    return found


def test_the_score_is_the_share_of_the_tests_that_the_question_shows(task):
    assert scores(UnitTests(), task, RIGHT, NOTHING, BROKEN, SQUARE) == [1.0, 0.5, 0.0, 1.0]


def test_with_all_tests_only_what_the_task_finds_right_scores_1(task):
    assert scores(UnitTests(tests="all"), task, SQUARE, NOTHING, RIGHT) == [0.5, 0.25, 1.0]


def test_the_program_that_passes_most_is_found(task):
    def law(question, text):
        return {END: 1.0} if text else {RIGHT: 0.2, NOTHING: 0.4, BROKEN: 0.4}

    (question,) = task.questions(len)
    found = searched(Best(6), law, scorer=UnitTests().on_task(task), question=question).found
    worth = {RIGHT: 1.0, NOTHING: 0.5, BROKEN: 0.0}
    assert list(found.weights) == [worth[one.text] for one in found.considered]
    assert len(set(found.weights)) > 1


def test_a_sandbox_that_fails_is_an_error_and_no_score(task, monkeypatch):
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with pytest.raises(SandboxError):
        scores(UnitTests(), task, RIGHT)


def test_programs_that_are_not_finished_are_refused(task):
    (question,) = task.questions(len)
    with pytest.raises(UsageError, match="not finished"):
        scored(UnitTests().on_task(task), [candidate(RIGHT, finish="")], question)


def test_without_a_task_of_programs_it_is_refused():
    with pytest.raises(UsageError, match=r"unit-tests .* belongs to none"):
        UnitTests().on_task(None)
    with pytest.raises(UsageError, match="unit-tests"):
        scored(UnitTests(), [candidate("a")])
    with pytest.raises(UsageError, match="asks for none"):
        UnitTests().on_task(Letters())
    with pytest.raises(UsageError, match="no programs"):
        Letters().passed(None, "", "all")

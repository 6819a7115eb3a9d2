"""The adapter to the package, and what it says without it."""

from __future__ import annotations

import inspect
import sys
from typing import Any

import pytest

from forethought import catalogue
from forethought.contracts.errors import BadParameterError, UnknownNameError, UsageError
from forethought.contracts.questions import Question
from forethought.tasks.reasoning_gym._package import data_set


def asked(spelling: str) -> tuple[Any, list[Question]]:
    task = catalogue.build(spelling, "tasks")
    return task, list(task.questions(len))


@pytest.fixture
def package() -> Any:
    return pytest.importorskip("reasoning_gym")


def test_without_the_package_the_task_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)

    with pytest.raises(UsageError, match="needs the package reasoning-gym") as caught:
        asked("reasoning-gym(dataset=chain_sum, seed=77)")

    assert caught.value.hint == "pip install reasoning-gym"


def test_a_data_set_is_asked_for() -> None:
    with pytest.raises(BadParameterError, match="reasoning-gym needs dataset"):
        catalogue.build("reasoning-gym", "tasks")


def test_the_last_text_in_tags_is_the_answer() -> None:
    task = catalogue.build("reasoning-gym(dataset=chain_sum)", "tasks")

    assert task.stated("<answer>1</answer> no, <answer> 2\n3 </answer>.") == "2\n3"
    for unreadable in ("", "4", "<answer>4", "4</answer>", "<answer></answer>"):
        assert task.stated(unreadable) == ""
        assert task.check(Question("chain_sum-0", "", data={"number": 0}), unreadable) == 0


@pytest.mark.parametrize("name", ["chain_sum", "acre", "knights_knaves", "maze", "mini_sudoku"])
def test_questions_and_points_are_those_of_the_package(package: Any, name: str) -> None:
    task, few = asked(f"reasoning-gym(dataset={name}, count=2, seed=3)")
    _, many = asked(f"reasoning-gym(dataset={name}, count=4, seed=3)")
    made = package.create_dataset(name, seed=3, size=1000)

    assert many[:2] == few
    for number, question in enumerate(many):
        assert question.text.startswith(made[number]["question"])
        right, wrong = (f"<answer>{one}</answer>" for one in (made[number]["answer"], "zzz"))
        assert task.check(question, f"So {right}") == 1
        assert task.check(question, wrong) == made.score_answer("zzz", made[number])
        assert task.check(question, made[number]["answer"]) == 0


def test_an_answer_that_the_checker_cannot_read_is_wrong(package: Any) -> None:
    task, (question,) = asked("reasoning-gym(dataset=prime_factorization, count=1)")
    made = package.create_dataset("prime_factorization", seed=0, size=1000)

    with pytest.raises(ValueError, match="invalid literal"):
        made.score_answer("two times two", made[0])
    assert task.check(question, "<answer>two times two</answer>") == 0


def test_settings_reach_the_data_set(package: Any) -> None:
    _, (question,) = asked(
        """reasoning-gym(dataset=chain_sum, count=1, settings='{"min_terms": 9, "max_terms": 9}')"""
    )

    assert sum(question.text.count(sign) for sign in "+-") >= 8
    for wrong in ('{"terms": 9}', "9", "{", '{"seed": 1}', '{"min_terms": -1}'):
        with pytest.raises(BadParameterError, match="reasoning-gym refuses settings="):
            data_set("chain_sum", 0, wrong)


def test_data_sets_whose_checkers_run_answers_are_refused(package: Any) -> None:
    for name in ("n_queens", "countdown", "polynomial_multiplication", "composite"):
        with pytest.raises(UsageError, match=f"the checker of {name} runs answers as Python code"):
            data_set(name, 0, "")
    with pytest.raises(UnknownNameError, match="no data set of reasoning-gym is called 'chainsum'"):
        data_set("chainsum", 0, "")
    assert "eval(" in inspect.getsource(package.factory.DATASETS["n_queens"][0].score_answer)

import json
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest

from forethought import catalogue
from forethought.contracts.errors import BadDataError
from forethought.contracts.questions import Question
from forethought.tasks.programming._answer import code_of
from forethought.tasks.programming.humaneval import HumanEval
from forethought.tasks.sandbox import MissingWallsError, SandboxError, missing_walls
from tests.tasks.attacks.forgeries import FORGERIES

ROW = {
    "task_id": "Mine/0",
    "prompt": "import math\n\n\ndef half(x):\n    return x / 2\n\n\ndef root(x: float) -> float:\n"
    '    """ The square root of the half of x.\n    >>> root(8)\n    2.0\n    """\n',
    "entry_point": "root",
    "test": "def check(candidate):\n    assert candidate(8) == 2\n    assert candidate(18) == 3\n",
}
BODY = "    return math.sqrt(half(x))\n"
WHOLE = f"def root(x: float) -> float:\n{BODY}"
DRAFT = "def root(x: float) -> float:\n    return x\n"
LONG_EXAMPLE = "for x in range(8):\n    # prints the square root of the half\n    print(root(x))\n"


@pytest.fixture
def asked(tmp_path: Path) -> tuple[HumanEval, Question]:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(ROW) + "\n")
    task: HumanEval = catalogue.build(f"humaneval(path='{file}', seconds=5)", "tasks")
    (question,) = task.questions(len)
    return task, question


@pytest.mark.parametrize(
    "answer",
    [
        f"Here it is:\n\n```python\n{WHOLE}```\nIt uses `math`.",
        f"```\nx = 1\n```\nthen\n```py\n{WHOLE}\n\nprint(root(2))\n```",
        f"```python\n{WHOLE}",
        WHOLE,
        BODY,
        f"```python\n{BODY}```",
        BODY.strip(),
        f"```python\n{ROW['prompt']}{BODY}```",
        f"```python\n{WHOLE}```\nFor example:\n```python\n{LONG_EXAMPLE}```",
        f"<think>\nPerhaps\n```python\n{DRAFT}{LONG_EXAMPLE}```\n</think>\n```python\n{WHOLE}```",
        f"Perhaps\n```python\n{DRAFT}```\n</think>\n\n{WHOLE}",
        f"[THINK]\n{DRAFT}[/THINK]{WHOLE}",
        f"First:\n```python\n{DRAFT}{LONG_EXAMPLE}```\nBetter:\n```python\n{WHOLE}```",
        "1. So:\n\n   ```python\n" + textwrap.indent(WHOLE, "   ") + "   ```\n",
        "- So:\n\n\t```python\n" + textwrap.indent(WHOLE, "\t") + "\t```\n",
        "> ```python\n" + textwrap.indent(WHOLE, "> ") + "> ```\n",
        f"~~~python\n{WHOLE}~~~\n",
        f"````\n{WHOLE}````\n```\nx = 1\n```",
        f"```python\n{WHOLE}```\n".replace("\n", "\r\n"),
        f"```python\n{BODY}```\nUse it so:\n```python\nprint(root(8))\nprint(root(18))\n```",
        "```python\nroot = lambda x: math.sqrt(half(x))\n```",
        f"```python\n{WHOLE}\nif __name__ == '__main__':\n    unittest.main()\n```",
        f"```python\n{WHOLE}\nif __name__ == '__main__':\n    print(root(float(input())))\n```",
        f"```python\nimport sys\n{WHOLE}\ndef main():\n    return 0\n"
        "if __name__ == '__main__':\n    sys.exit(main())\n```",
    ],
)
def test_a_right_function_passes_however_it_is_given(
    answer: str, asked: tuple[HumanEval, Question]
) -> None:
    task, question = asked

    assert task.check(question, answer) == 1


@pytest.mark.parametrize(
    "answer",
    [
        "    return 2\n",
        "I cannot do that.",
        "",
        "    import sys\n    sys.exit(0)\n",
        f"```python\n{WHOLE}\nimport os\nos._exit(0)\n```",
        f"```python\n{WHOLE.replace('half', 'whole')}```",
    ],
)
def test_a_wrong_function_fails(answer: str, asked: tuple[HumanEval, Question]) -> None:
    task, question = asked

    assert task.check(question, answer) == 0


def test_the_question_shows_the_prompt_and_keeps_what_the_check_needs(
    asked: tuple[HumanEval, Question],
) -> None:
    _, question = asked

    assert question.identifier == "Mine/0"
    assert str(ROW["prompt"]).rstrip() in question.text
    assert str(ROW["test"]) not in question.text
    assert json.loads(json.dumps(dict(question.data))) == question.data


def test_tests_that_cannot_be_run_are_an_error_and_no_failure(
    asked: tuple[HumanEval, Question], monkeypatch: pytest.MonkeyPatch
) -> None:
    task, question = asked
    monkeypatch.setattr("sys.executable", "/nowhere/python")

    with pytest.raises(SandboxError):
        task.check(question, WHOLE)


def test_a_line_without_tests_is_named(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({**ROW, "test": None}) + "\n")
    task = catalogue.build(f"humaneval(path='{file}')", "tasks")

    with pytest.raises(BadDataError, match="line 1: test is None, not of type str"):
        list(task.questions(len))


RIGHT, HALF, BROKEN = f"```\n{WHOLE}```", "    return x / 4\n", "    return (\n"


@pytest.mark.parametrize(
    ("answer", "visible", "every"),
    [(RIGHT, 1.0, 1.0), (HALF, 1.0, 0.5), ("    return 3\n", 0.0, 0.5), (BROKEN, 0.0, 0.0)],
)
def test_the_share_of_tests_that_an_answer_passes(
    answer: str, visible: float, every: float, asked: tuple[HumanEval, Question]
) -> None:
    task, question = asked

    assert task.passed(question, answer, "visible") == visible
    assert task.passed(question, answer, "all") == every
    assert (every == 1) == (task.check(question, answer) == 1)


def test_a_program_cannot_pass_by_leaving_early(asked: tuple[HumanEval, Question]) -> None:
    task, question = asked

    for tests in ("visible", "all"):
        assert task.passed(question, "    import os\n    os._exit(0)\n", tests) == 0


def test_without_examples_a_program_that_loads_passes(
    asked: tuple[HumanEval, Question],
) -> None:
    task, question = asked
    bare = replace(question, data={**question.data, "prompt": "def root(x):\n"})

    assert task.passed(bare, "    return 0\n", "visible") == 1
    assert task.passed(bare, BROKEN, "visible") == 0


def test_tests_that_only_pass_alone_are_not_all_passed(asked: tuple[HumanEval, Question]) -> None:
    task, question = asked
    once = f"calls = []\ndef root(x):\n    calls.append(x)\n    {'assert len(calls) == 1'}\n"
    once += "    return math.sqrt(half(x))\n"

    assert task.check(question, once) == 0
    assert task.passed(question, once, "all") == 0.5


def test_a_test_by_itself_has_its_share_of_the_time(asked: tuple[HumanEval, Question]) -> None:
    task, question = asked
    endless = "    while x > 10:\n        pass\n    return 2\n"
    start = time.monotonic()

    assert replace(task, seconds=4).passed(question, endless, "all") == 0.5
    # Four seconds for both together, then two for each alone.
    assert 6 <= time.monotonic() - start < 15


def test_what_the_check_passes_passes_all_though_its_parts_repeat_what_prepares_them(
    asked: tuple[HumanEval, Question],
) -> None:
    task, question = asked
    test = "def check(candidate):\n    seen = candidate(8)\n    assert seen == 2\n"
    test += "    assert candidate(18) == 3\n"
    prepared = replace(question, data={**question.data, "test": test})
    twice = f"calls = []\n{WHOLE.replace(BODY, '    calls.append(x)')}\n"
    twice += f"    assert len(calls) < 3\n{BODY}"

    assert task.check(prepared, twice) == 1
    assert task.passed(prepared, twice, "all") == 1


def test_sandboxes_that_do_not_start_are_an_error_and_no_share(
    asked: tuple[HumanEval, Question], monkeypatch: pytest.MonkeyPatch
) -> None:
    task, question = asked
    monkeypatch.setattr("sys.executable", "/nowhere/python")

    with pytest.raises(SandboxError):
        task.passed(question, WHOLE, "visible")


def test_the_last_block_that_defines_the_function_is_the_code() -> None:
    blocks = "```\ndef one(): 1\n```\n```\ndef one(): 2\n```\n```\none() == one()\n```\n"

    assert code_of(blocks, "one") == "def one(): 2\n"
    assert code_of("```\nx\n```\n```\ny\n```", "one") == "y\n"
    assert code_of("```\nx\n```python is no end\ny\n```", "one") == "x\n```python is no end\ny\n"


def test_tests_build_on_the_prompt_s_helpers_and_not_on_the_answer_s(
    asked: tuple[HumanEval, Question],
) -> None:
    task, question = asked
    test = "def check(candidate):\n    assert half(candidate(8)) == 1\n"
    helped = replace(question, data={**question.data, "test": test})

    assert task.check(helped, WHOLE) == 1
    assert task.check(helped, "    return 8\n\ndef half(x):\n    return 1\n") == 0


def test_tests_that_cannot_run_are_an_error_that_names_the_question(
    asked: tuple[HumanEval, Question],
) -> None:
    task, question = asked
    test = "def check(candidate):\n    import numpy\n    assert candidate(8) == 2\n"
    needy = replace(question, data={**question.data, "test": test})

    with pytest.raises(BadDataError, match=r"tests of Mine/0 .* No module named 'numpy'"):
        task.check(needy, WHOLE)
    with pytest.raises(BadDataError, match="tests of Mine/0"):
        task.passed(needy, WHOLE, "all")


def test_shown_tests_that_cannot_run_do_not_count(asked: tuple[HumanEval, Question]) -> None:
    task, question = asked
    examples = ">>> len(nowhere)\n    3\n    >>> root(8)\n    2.0\n    >>> root(18)\n    3.0\n"
    prompt = str(ROW["prompt"]).replace(">>> root(8)\n    2.0\n", examples)
    needy = replace(question, data={**question.data, "prompt": prompt})

    assert task.passed(needy, WHOLE, "visible") == 1
    assert task.passed(needy, "    return 2.0\n", "visible") == 0.5


@pytest.mark.parametrize("forgery", FORGERIES)
def test_no_answer_passes_by_a_trick(forgery: str, asked: tuple[HumanEval, Question]) -> None:
    task, question = asked
    answer = FORGERIES[forgery].replace("wanted", "root")

    assert task.check(question, f"```python\n{answer}\n```") == 0


def test_all_walls_may_be_asked_for_and_do_not_change_the_name_of_the_task(
    asked: tuple[HumanEval, Question],
) -> None:
    task, question = asked
    strict = replace(task, sandbox="strict")

    assert catalogue.spelled_open(strict) == catalogue.spelled_open(task)
    if missing := missing_walls():
        with pytest.raises(MissingWallsError, match=missing[0]):
            strict.questions(len)
        assert missing[0] in task.notes()[0]
    else:
        assert [one.identifier for one in strict.questions(len)] == ["Mine/0"]
        assert strict.check(question, WHOLE) == 1
        assert task.notes() == ()

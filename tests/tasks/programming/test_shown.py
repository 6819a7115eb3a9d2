"""The tests that a question shows, and the parts of those it does not."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from forethought.tasks.programming._hidden import parts
from forethought.tasks.programming._shown import shown_tests


def shown(*lines: str) -> tuple[str, ...]:
    body = "\n".join(f"    {line}" for line in lines)
    return shown_tests(f'def f(x, y=0):\n    """ Do it.\n{body}\n    """\n', "f")


def holds(test: str, **names: object) -> bool:
    try:
        exec(test, dict(names))
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize(
    "lines",
    [
        [">>> f(2)", "4"],
        [">>>f(2)", "4", "Some prose on another line.", "", ">>> f(2)", "4"],
        ["f(2) == 4"],
        ["f(2) -> 4"],
        ["f(2) => 4  # twice"],
        ["f(2) ➞ 4"],
        ["For example: f(2) should return 4"],
        ["- f(2) returns 4"],
        ["assert f(2) == 4"],
        [">>> a = 1", ">>> f(a + 1)", "4"],
        [">>> f(", "...     2)", "4"],
    ],
)
def test_an_example_is_a_test_that_the_right_function_passes_and_a_wrong_one_fails(lines) -> None:
    (test,) = shown(*lines)

    assert holds(test, f=lambda x: 2 * x)
    assert not holds(test, f=lambda x: 3 * x)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["It returns 4 for f(2)."],
        ["1 + f(1) == 3"],
        ["g(2) == 4"],
        ["assert x == 4"],
        [">>> f(2)", "<object at 0x1>"],
        [">>> f(", "4"],
        [">>> f(2)"],
        ["f(2) == f(3)"],
    ],
)
def test_what_is_no_example_with_a_value_is_left_out(lines) -> None:
    assert shown(*lines) == ()


def test_all_examples_are_found_once_and_stand_for_themselves() -> None:
    tests = shown(
        ">>> f(1)", "['a',", " 'b']", ">>> f(2)", "True", "", "f(1) == ['a', 'b']", "f(3) == 5"
    )

    assert tests == (
        "assert (f(1)) == ['a', 'b']",
        "assert (f(2)) == True",
        "assert (f(3)) == 5",
    )


def test_fractions_may_round() -> None:
    (test,) = shown(">>> f(0.1)", "0.3")

    assert holds(test, f=lambda x: x + 0.2)
    assert not holds(test, f=lambda x: x + 0.2001)


def test_only_the_docstring_of_the_function_counts_even_where_the_prompt_is_no_program() -> None:
    helper = 'def g(x):\n    """\n    >>> f(1)\n    1\n    """\n    return x\n\n\n'
    head = 'def f(x):\n    """\n    >>> f(2)\n    4\n'

    for prompt in (f'{helper}{head}    """\n', helper + head):
        assert shown_tests(prompt, "f") == ("assert (f(2)) == 4",)


def test_each_assert_becomes_a_program_with_what_prepares_it() -> None:
    test = (
        "X = 1\ndef check(candidate):\n    a = X\n    assert candidate(a) == 1\n"
        "    for n in (2, 3):\n        assert candidate(n) == n\n    a = 9\n"
    )
    first, second = parts(test)

    def passes(part: str, function) -> bool:
        return holds(f"{part}\ncheck(candidate)", candidate=function)

    assert [passes(part, lambda x: x) for part in (first, second)] == [True, True]
    assert [passes(part, lambda x: 1) for part in (first, second)] == [True, False]
    assert [passes(part, lambda x: x * (x > 1)) for part in (first, second)] == [False, True]
    assert "a = 9" in first


@pytest.mark.parametrize(
    "test",
    [
        "def check(candidate):\n    assert candidate(1)\n",
        "def tried(candidate):\n    assert candidate(1)\n    assert candidate(2)\n",
        "def check(",
    ],
)
def test_what_does_not_fall_into_parts_is_one_test(test) -> None:
    assert parts(test) == (test,)


def test_a_line_of_many_arrows_is_parsed_a_few_times_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[Any] = []
    parse = ast.parse

    def counted(*given: Any, **how: Any) -> ast.AST:
        parsed.append(given)
        return parse(*given, **how)

    with monkeypatch.context() as counting:
        counting.setattr(ast, "parse", counted)
        found = shown("1==" * 600)

    assert found == ()
    assert len(parsed) < 50

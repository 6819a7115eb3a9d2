"""Tests of programs run apart from the program, and exchange plain values with it."""

import pytest

from forethought.tasks.sandbox import Limits, ProgramOutcome, ProgramTests, run

RIGHT = "def wanted(*given, **named):\n    return (given, named)\n"


def judged(program: str, source: str, setup: str = "", **limits: float) -> ProgramOutcome:
    return run(program, Limits(**limits), ProgramTests("wanted", source, setup))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value",
    [
        *("None", "True", "-3", "2 ** 200", "-(10 ** 4000)", "0.1", "-0.0", "float('inf')", "1j"),
        *("'\\ud800\\n'", "b'\\x00\\xff'", "bytearray(b'x')", "[1, [2, ()]]", "(1,)", "{1, 'a'}"),
        *("frozenset({2})", "{(1, 2): [{3: 4}]}", "range(2, 9, 3)", "[True, 1, 1.0]"),
        *("__import__('fractions').Fraction(1, 3)", "__import__('decimal').Decimal('0.10')"),
    ],
)
def test_plain_values_go_to_the_program_and_come_back_as_they_were(value: str) -> None:
    source = f"value = {value}\n(back,), named = wanted(value, x=value)\n"
    source += "assert repr(back) == repr(value) == repr(named['x']) and type(back) is type(value)"

    assert judged(RIGHT, source).status == "passed"


def test_a_number_that_is_none_comes_back_as_one() -> None:
    assert judged(RIGHT, "x = wanted(float('nan'))[0][0]; assert x != x").status == "passed"


def test_instances_of_subclasses_come_as_what_they_derive_from() -> None:
    program = """
from collections import Counter, OrderedDict, defaultdict, namedtuple
from enum import IntEnum
def wanted():
    one = IntEnum("One", "a")
    return [Counter("aab"), defaultdict(int, x=1), namedtuple("P", "x y")(1, 2), one.a]
"""
    source = "assert wanted() == [{'a': 2, 'b': 1}, {'x': 1}, (1, 2), 1]"

    assert judged(program, source).status == "passed"


def test_things_that_stay_with_the_program_can_be_used_and_equal_nothing_else() -> None:
    program = """
class Pile:
    def __init__(self): self.items = []
    def push(self, item): self.items.append(item); return self
    def __len__(self): return len(self.items)
    def __getitem__(self, at): return self.items[at]
    def __eq__(self, other): return True
def wanted(kind):
    def count():
        number = 0
        while True:
            yield number
            number += 1
    return {"pile": Pile, "count": count, "adder": lambda a: lambda b: a + b}[kind]
"""
    source = """
from itertools import islice
pile = wanted("pile")()
assert len(pile.push(3).push("x")) == 2 and pile[1] == "x" and pile.items == [3, "x"]
assert pile and not wanted("pile")()
assert not pile == [3, "x"] and pile != 3
assert list(islice(wanted("count")(), 4)) == [0, 1, 2, 3]
assert wanted("adder")(2)(3) == 5
assert list(zip(wanted("count")(), "ab")) == [(0, "a"), (1, "b")]
"""
    assert judged(program, source).status == "passed", judged(program, source).output


def test_functions_and_iterators_that_tests_hand_over_can_be_called_and_gone_through() -> None:
    program = "def wanted(function, numbers):\n    return sum(map(function, numbers))\n"
    source = "assert wanted(lambda x: x * x, iter(range(4))) == 14"

    assert judged(program, source).status == "passed", judged(program, source).output


def test_what_tests_hand_over_lets_no_program_look_around() -> None:
    program = """
def wanted(function):
    try:
        return function.__globals__["want"]
    except AttributeError:
        pass
    return function.func_globals
"""
    source = "want = 7171\nassert wanted(lambda: want) == want"

    assert judged(program, source).status == "failed"


def test_tests_that_hand_over_what_cannot_be_sent_are_unfit() -> None:
    outcome = judged(RIGHT, "class Point: pass\nwanted(Point())")

    assert (outcome.status, outcome.reason) == ("unfit", "they hand over a value of type Point")


def test_a_function_that_returns_none_may_change_its_arguments() -> None:
    program = "def wanted(items, more):\n    items.sort()\n    more['x'] = items[0]\n"
    source = "a, b = [3, 1], {}\nassert wanted(a, b) is None and a == [1, 3] and b == {'x': 1}"

    assert judged(program, source).status == "passed"


def test_others_get_copies_so_that_none_changes_what_it_is_compared_with() -> None:
    program = "def wanted(items):\n    items.clear()\n    return []\n"

    assert judged(program, "a = [3, 1]\nassert wanted(a) == sorted(a)").status == "failed"


@pytest.mark.parametrize(
    ("raised", "caught"),
    [
        ("ValueError('no')", "ValueError"),
        ("ZeroDivisionError()", "ArithmeticError"),
        ("KeyError('x')", "LookupError"),
        ("UnicodeDecodeError('utf-8', b'', 0, 1, 'x')", "Exception"),
        ("type('Own', (Exception,), {})()", "Exception"),
    ],
)
def test_errors_of_the_program_reach_the_tests(raised: str, caught: str) -> None:
    program = f"def wanted():\n    raise {raised}\n"
    source = f"try:\n    wanted()\nexcept {caught}:\n    pass\nelse:\n    assert False"

    assert judged(program, source).status == "passed"
    assert judged(program, "wanted()").status == "failed"


@pytest.mark.parametrize("end", ["import os; os._exit(0)", "import sys; sys.exit()", "exit()"])
def test_a_program_that_leaves_fails_even_where_tests_catch_everything(end: str) -> None:
    source = "try:\n    wanted()\nexcept Exception:\n    pass\nassert wanted() == 1"

    assert judged(f"def wanted():\n    {end}\n", source).status == "failed"


@pytest.mark.parametrize(
    "line",
    [
        *("x", '{"value": {"tuple": 3}}', '{"value": {"set": [[1]]}}', '{"value": {"mine": "x"}}'),
        *('{"value": {"yours": 99}}', '{"value": {"x": 1, "y": 2}}', '{"value": {"Path": "/"}}'),
        *('{"ask": "attribute", "of": [{"yours": 0}, "x"]}', "[" * 100_000, '{"value": {}}'),
        '{"value": {"int": "7"}, "ask": 3}',
    ],
)
def test_nonsense_on_the_pipe_is_no_answer(line: str) -> None:
    program = f"""
import os
def wanted():
    for place in range(3, 64):
        try: os.write(place, {line!r}.encode() + b"\\n")
        except OSError: pass
    return 1
"""
    assert judged(program, "assert wanted() == 2").status == "failed"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import numpy\nwanted()", "ModuleNotFoundError: No module named 'numpy'"),
        ("assert one\nwanted()", "NameError: name 'one' is not defined"),
        ("def (", "SyntaxError: invalid syntax (tests.py, line 1)"),
    ],
)
def test_tests_that_fail_before_they_ask_anything_are_unfit_and_no_failure(
    source: str, reason: str
) -> None:
    outcome = judged(RIGHT, source)

    assert (outcome.status, outcome.reason) == ("unfit", reason)


def test_tests_that_are_slow_time_out() -> None:
    assert judged(RIGHT, "while True: wanted()", seconds=0.3).status == "timed out"
    assert judged(RIGHT, "while True: pass", seconds=30, cpu_seconds=1).status == "timed out"


def test_a_program_that_defines_no_function_of_the_name_fails() -> None:
    assert judged("x = 1", "wanted()").status == "failed"
    assert judged("wanted = 5", "wanted()").status == "failed"


def test_what_a_program_does_when_it_is_started_is_left_out() -> None:
    program = RIGHT + "if __name__ == '__main__':\n    import unittest; unittest.main()\n"

    assert judged(program, "assert wanted() == ((), {})").status == "passed"

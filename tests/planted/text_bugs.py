"""Bugs of judged mathematics."""

from tests.planted.bug import Bug

_JUDGING = "tests/tasks/mathematics/test_judging.py::"

TEXT_BUGS = (
    Bug(
        name="spaces between digits are dropped, so two numbers become one",
        seen_in="the grader of MATH, _strip_string",
        file="tasks/mathematics/_judge.py",
        old='" ".join(_SPACE',
        new='"".join(_SPACE',
        test=f"{_JUDGING}test_what_says_something_else_is_not",
    ),
    Bug(
        name="of several boxes only the last one is judged",
        seen_in="the grader of MATH, last_boxed_only_string",
        file="tasks/mathematics/_extract.py",
        old="    while first and _joins(",
        new="    while False and _joins(",
        test=f"{_JUDGING}test_boxes_that_belong_together_are_one_list",
    ),
)

"""Word problems with one number as the answer: prompt and checker."""

from __future__ import annotations

from typing import Literal

from forethought.contracts.questions import Question
from forethought.tasks.mathematics._extract import final, numbers_in
from forethought.tasks.mathematics._judge import equal
from forethought.tasks.mathematics._plain import normal_form

_LAST = "give the final answer as one number, like this: \\boxed{number}"
INSTRUCTIONS = {
    "steps": f"Think step by step. Then {_LAST}",
    "standard": _LAST.capitalize(),
    "reflect": "Think step by step. Then check each step, and correct it if it is wrong. Then "
    f"{_LAST}",
}


def put(problem: str, prompt: Literal["steps", "standard", "reflect"] = "steps") -> str:
    """The problem followed by the instruction of a prompt."""
    return f"{problem.strip()}\n\n{INSTRUCTIONS[prompt]}"


def judged(question: Question, answer: str) -> float:
    """1 if the answer's final number equals the reference, else 0."""
    given = final(answer)
    if equal(question.answers[0], given):
        return 1.0
    # A sentence counts by the only number after its last equals sign.
    numbers = numbers_in(given.rpartition("=")[2])
    return float(len(numbers) == 1 and equal(question.answers[0], numbers[0]))


def parsed(answer: str) -> bool:
    """Whether the final answer holds a number."""
    return bool(numbers_in(final(answer)))


def stated(answer: str) -> str:
    """The final number of an answer as `judged` reads it; other text if there is none."""
    given = final(answer)
    numbers = numbers_in(given.rpartition("=")[2])
    return normal_form(numbers[0] if len(numbers) == 1 else given)

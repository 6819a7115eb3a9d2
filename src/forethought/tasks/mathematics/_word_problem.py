"""Word problems with one number as the answer: prompt and checker."""

from __future__ import annotations

from forethought.contracts.questions import Question
from forethought.tasks.mathematics._extract import final, numbers_in
from forethought.tasks.mathematics._judge import equal
from forethought.tasks.mathematics._plain import normal_form

INSTRUCTION = (
    "Think step by step. Then give the final answer as one number, like this: \\boxed{number}"
)


def put(problem: str) -> str:
    """The problem followed by the instruction."""
    return f"{problem.strip()}\n\n{INSTRUCTION}"


def judged(question: Question, answer: str) -> float:
    """1 if the answer's final number equals the reference, else 0."""
    given = final(answer)
    if equal(question.answers[0], given):
        return 1.0
    # A sentence counts by the only number after its last equals sign.
    numbers = numbers_in(given.rpartition("=")[2])
    return float(len(numbers) == 1 and equal(question.answers[0], numbers[0]))


def stated(answer: str) -> str:
    """The final number of an answer as `judged` reads it; other text if there is none."""
    given = final(answer)
    numbers = numbers_in(given.rpartition("=")[2])
    return normal_form(numbers[0] if len(numbers) == 1 else given)

"""Word problems whose answer is one number: how they are put, and how answers are judged."""

from __future__ import annotations

from forethought.contracts.questions import Question
from forethought.tasks.mathematics._extract import final, numbers_in
from forethought.tasks.mathematics._judge import equal

INSTRUCTION = (
    "Think step by step. Then give the final answer as one number, like this: \\boxed{number}"
)


def put(problem: str) -> str:
    """The problem with what to do."""
    return f"{problem.strip()}\n\n{INSTRUCTION}"


def judged(question: Question, answer: str) -> float:
    """1 if the number that the answer ends in is the reference's."""
    given = final(answer)
    if equal(question.answers[0], given):
        return 1.0
    # It may be a sentence: then what follows its last equals sign has one number.
    numbers = numbers_in(given.rpartition("=")[2])
    return float(len(numbers) == 1 and equal(question.answers[0], numbers[0]))

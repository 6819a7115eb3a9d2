"""Generated questions of a data set of the package reasoning-gym.

Paper: Reasoning Gym, arXiv:2505.24760
Score: the points of the data set's own checker; 0 for an answer without answer tags.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from forethought.contracts.errors import BadDataError
from forethought.contracts.parameters import Count, CountOrZero, Whole
from forethought.contracts.questions import Measure, Question, Task
from forethought.tasks.reasoning_gym._package import QUESTIONS, data_set, quiet

_FORM = "Write the final answer, and nothing else, between <answer> and </answer>."
_UNREADABLE = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""Errors of the package's checkers at answers of another form."""


@dataclass(frozen=True)
class ReasoningGym(Task):
    """One data set; needs `pip install reasoning-gym`."""

    dataset: str
    """Name of a data set, such as chain_sum; not one whose checker runs answers as code."""
    count: Annotated[int, Whole(1, QUESTIONS)] = 10
    """Number of questions; a greater count keeps the first ones."""
    seed: CountOrZero = 0
    """Seed of the questions."""
    settings: str = ""
    """A JSON object with settings of the data set; empty: its defaults."""
    answer_tokens: Count = 512
    """Most tokens of an answer."""

    def questions(self, measure: Measure) -> Iterator[Question]:
        """The questions in order; BadDataError if the reference answer scores nothing."""
        for number in range(self.count):
            with quiet():
                entry = data_set(self.dataset, self.seed, self.settings)[number]
            reference = entry["answer"]
            question = Question(
                identifier=f"{self.dataset}-{number}",
                text=f"{entry['question']}\n\n{_FORM}",
                answers=(reference,) if isinstance(reference, str) else (),
                data={"number": number},
            )
            if question.answers and not self._points(number, reference):
                raise BadDataError(
                    f"reasoning-gym scores its own answer to {question.identifier} 0",
                    "install another version of reasoning-gym",
                )
            yield question

    def check(self, question: Question, answer: str) -> float:
        """The points of the last text in answer tags; 0 without any, or if it cannot be read."""
        stated = self.stated(answer)
        return self._points(question.data["number"], stated) if stated else 0.0

    def stated(self, answer: str) -> str:
        """The last text in answer tags; empty without any."""
        before, _, _ = answer.rpartition("</answer>")
        return before.rpartition("<answer>")[2].strip() if "<answer>" in before else ""

    def _points(self, number: int, answer: str) -> float:
        found = data_set(self.dataset, self.seed, self.settings)
        try:
            points = float(found.score_answer(answer, found[number]))
        except _UNREADABLE:  # the checker reads references, so the answer has another form
            return 0.0
        return min(1.0, max(0.0, points))

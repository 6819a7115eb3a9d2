"""Word problems of grade school in several steps, from a file.

Paper: arXiv:2110.14168
Score: 1 if the number that the answer ends in equals the reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from forethought.contracts.parameters import Count, CountOrZero
from forethought.contracts.questions import Measure, Question, Task
from forethought.tasks.mathematics._extract import numbers_in
from forethought.tasks.mathematics._word_problem import judged, put
from forethought.tasks.rows import TEXT, Row, Rows, drawn, rows

_FIELDS = {"question": TEXT, "answer": TEXT}


@dataclass(frozen=True)
class Gsm8k(Task):
    """Word problems of grade school in several steps, from a file."""

    path: str
    """A JSONL file with the fields question and answer, and id if they have names."""
    count: CountOrZero = 0
    """How many questions; 0 is all of them."""
    seed: CountOrZero = 0
    """0 keeps the file's order; other seeds draw in another order."""
    skip_bad: bool = False
    """Leave out lines that cannot be used, instead of stopping at the first one."""
    answer_tokens: Count = 512
    """Most tokens of an answer."""

    def questions(self, measure: Measure) -> Iterator[Question]:
        """The questions in order."""
        return (_question(row) for row in drawn(self._rows(), self.count, self.seed))

    def check(self, question: Question, answer: str) -> float:
        """1 if the number that the answer ends in is the reference's."""
        return judged(question, answer)

    def notes(self) -> tuple[str, ...]:
        """What was wrong with each line that is left out."""
        return self._rows().notes

    def _rows(self) -> Rows:
        return rows(self.path, _FIELDS, self.skip_bad, identifier="id", problem=_problem)


def _problem(values: Mapping[str, Any]) -> str:
    """What is wrong with a line that has its fields."""
    if not values["question"].strip():
        return "the question is empty"
    return "" if numbers_in(_reference(values)) else "the answer ends in no number"


def _reference(values: Mapping[str, Any]) -> str:
    return str(values["answer"].rpartition("####")[2].strip())


def _question(row: Row) -> Question:
    values = row.values
    return Question(
        identifier=row.named("id", "gsm8k"),
        text=put(values["question"]),
        answers=(_reference(values),),
    )

"""Competition problems with answers in LaTeX, from a file.

Paper: arXiv:2103.03874, in the selection of arXiv:2305.20050
Score: 1 if the final answer equals the reference, by value or by form.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from forethought.contracts.parameters import Count, CountOrZero
from forethought.contracts.questions import Measure, Question, Task
from forethought.tasks.mathematics._extract import final
from forethought.tasks.mathematics._judge import equal
from forethought.tasks.mathematics._plain import normal_form
from forethought.tasks.rows import TEXT, Row, Rows, drawn, rows

_FIELDS = {"problem": TEXT, "answer": TEXT}
_INSTRUCTION = "Reason step by step, and put the final answer within \\boxed{}."


@dataclass(frozen=True)
class Math500(Task):
    """Competition problems with answers in LaTeX, from a file."""

    path: str
    """JSONL file with the fields problem and answer, and optionally unique_id."""
    count: CountOrZero = 0
    """Number of questions; 0 is all of them."""
    seed: CountOrZero = 0
    """0 keeps the file's order; other seeds shuffle it."""
    skip_bad: bool = False
    """Leave out invalid lines instead of stopping at the first one."""
    answer_tokens: Count = 1024
    """Most tokens of an answer."""

    def questions(self, measure: Measure) -> Iterator[Question]:
        """The questions in order."""
        return (_question(row) for row in drawn(self._rows(), self.count, self.seed))

    def check(self, question: Question, answer: str) -> float:
        """1 if the final answer equals the reference, else 0."""
        return float(equal(question.answers[0], final(answer)))

    def stated(self, answer: str) -> str:
        """The final answer, without layout and units."""
        return normal_form(final(answer))

    def notes(self) -> tuple[str, ...]:
        """A note on each line that is left out."""
        return self._rows().notes

    def _rows(self) -> Rows:
        return rows(self.path, _FIELDS, self.skip_bad, identifier="unique_id")


def _question(row: Row) -> Question:
    values = row.values
    return Question(
        identifier=row.named("unique_id", "math500"),
        text=f"{values['problem'].strip()}\n\n{_INSTRUCTION}",
        answers=(values["answer"],),
    )

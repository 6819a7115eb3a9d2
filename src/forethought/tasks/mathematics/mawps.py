"""Word problems of one operation, from a file.

Paper: MAWPS, Koncel-Kedziorski et al., NAACL 2016
Score: 1 if the answer's final number equals the reference.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from forethought.contracts.parameters import Count, CountOrZero
from forethought.contracts.questions import Measure, Question, Task
from forethought.tasks.mathematics._word_problem import judged, parsed, put, stated
from forethought.tasks.rows import NUMBER, TEXT, Row, Rows, drawn, rows

_FIELDS = {"input": TEXT, "target": NUMBER}


@dataclass(frozen=True)
class Mawps(Task):
    """Word problems of one operation, from a file."""

    path: str
    """JSONL file with the fields input and target, and optionally id."""
    count: CountOrZero = 0
    """Number of questions; 0 is all of them."""
    seed: CountOrZero = 0
    """0 keeps the file's order; other seeds shuffle it."""
    skip_bad: bool = False
    """Leave out invalid lines instead of stopping at the first one."""
    answer_tokens: Count = 256
    """Most tokens of an answer."""
    prompt: Literal["steps", "standard", "reflect"] = "steps"
    """Ask for steps, for the answer alone, or for steps that are checked afterwards."""

    def questions(self, measure: Measure) -> Iterator[Question]:
        """The questions in order."""
        return (self._question(row) for row in drawn(self._rows(), self.count, self.seed))

    def check(self, question: Question, answer: str) -> float:
        """1 if the answer's final number equals the reference, else 0."""
        return judged(question, answer)

    def stated(self, answer: str) -> str:
        """The final number."""
        return stated(answer)

    def parsed(self, question: Question, answer: str) -> bool:
        """Whether the final answer holds a number."""
        return parsed(answer)

    def notes(self) -> tuple[str, ...]:
        """A note on each line that is left out."""
        return self._rows().notes

    def _rows(self) -> Rows:
        return rows(self.path, _FIELDS, self.skip_bad, identifier="id")

    def _question(self, row: Row) -> Question:
        values = row.values
        return Question(
            identifier=row.named("id", "mawps"),
            text=put(values["input"], self.prompt),
            answers=(str(values["target"]),),
        )

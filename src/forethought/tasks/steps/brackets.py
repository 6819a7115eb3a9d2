"""The brackets that close a sequence of nested brackets of four kinds.

Paper: Dyck languages of BIG-Bench, arXiv:2206.04615
Score: 1 if the answered brackets close all open ones in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Annotated

from forethought.contracts.parameters import Count, CountOrZero, Whole
from forethought.contracts.questions import Measure, Question, Task
from forethought.tasks.answer_lines import answers
from forethought.tasks.drawing import distinct
from forethought.tasks.steps._lines import STEPS_ONLY, OneAnswer, Words, promise, rightness, words

_CLOSES = {"(": ")", "[": "]", "{": "}", "<": ">"}
_PROMPT = f"""\
Read brackets from left to right. For each bracket write: read the bracket, open all brackets \
that are open then, the last opened last, or none. The answer is the brackets that close those \
still open, the last opened first, or none.
{STEPS_ONLY}

Example: ( [ ] {{
read ( open (
read [ open ( [
read ] open (
read {{ open ( {{
Answer: }} )

Now read: """


@dataclass(frozen=True)
class Brackets(Task):
    """Nested brackets; a step is one bracket and the brackets open after it."""

    length: Annotated[int, Whole(1, 1000)] = 12
    """Brackets to read, and steps of a right answer."""
    depth: Annotated[int, Whole(1, 100)] = 4
    """Most brackets open at once."""
    count: Count = 10
    """Number of questions; a greater count keeps the first ones."""
    seed: CountOrZero = 0
    """Seed of the questions."""

    @property
    def answer_tokens(self) -> int:
        """Most tokens of an answer: one per bracket, and a few per step."""
        return (self.length + 1) * (2 * min(self.depth, self.length) + 8)

    def questions(self, measure: Measure) -> Iterator[Question]:
        """The questions in order."""
        for identifier, row in distinct("brackets", self.seed, self.count, self._row):
            yield Question(
                identifier=identifier,
                text=_PROMPT + " ".join(row),
                answers=(_answer(row),),
                data={"brackets": row},
            )

    def check(self, question: Question, answer: str) -> float:
        """1 if the answered brackets close all open ones in order, else 0."""
        return rightness(_start(question), answer)

    def parsed(self, question: Question, answer: str) -> bool:
        """Whether an answer line states a result."""
        return bool(answers(answer))

    def promise(self, question: Question, text: str) -> float:
        """1 if all steps so far are right, else 0."""
        return promise(_start(question), text)

    def _row(self, random: Random) -> str:
        row, still_open = "", ""
        for _ in range(self.length):
            full = len(still_open) == self.depth
            opens = not still_open or (not full and random.random() < 0.5)
            row += random.choice("([{<") if opens else _CLOSES[still_open[-1]]
            still_open = _read(still_open, row[-1])
        return row


@dataclass(frozen=True)
class _BracketState(OneAnswer):
    """The remaining brackets and the open ones."""

    left: str
    answer: str
    still_open: str = ""

    def steps(self) -> Mapping[Words, _BracketState]:
        if not self.left:
            return {}
        now = _read(self.still_open, self.left[0])
        line = f"read {self.left[0]} open {' '.join(now) or 'none'}"
        return {words(line): replace(self, left=self.left[1:], still_open=now)}


def _read(still_open: str, bracket: str) -> str:
    return still_open + bracket if bracket in _CLOSES else still_open[:-1]


def _answer(row: str) -> str:
    still_open = ""
    for bracket in row:
        still_open = _read(still_open, bracket)
    return " ".join(_CLOSES[bracket] for bracket in reversed(still_open)) or "none"


def _start(question: Question) -> _BracketState:
    row = question.data["brackets"]
    return _BracketState(row, _answer(row))

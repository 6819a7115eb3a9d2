"""3-SAT: truth values that satisfy clauses of three literals, variable by variable.

Paper: 3SAT of arXiv:2504.00294
Score: 1 if the answered values satisfy every clause.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import comb
from random import Random
from typing import Annotated

from forethought.contracts.errors import BadParameterError
from forethought.contracts.parameters import Count, CountOrZero, Whole
from forethought.contracts.questions import Measure, Question, Task
from forethought.tasks.answer_lines import answers
from forethought.tasks.drawing import distinct
from forethought.tasks.steps._lines import (
    STEPS_ONLY,
    StepState,
    Words,
    promise,
    rightness,
    starts,
    words,
)

Clause = tuple[int, ...]
"""Variables, numbered from 1; negative if negated."""

_PROMPT = f"""\
Give every variable a value, true or false, so that every clause holds. A clause holds if at \
least one of its parts does. For each variable, in any order, write: variable = true or \
variable = false. The answer is all variables with their values.
{STEPS_ONLY}

Example: the variables are x1, x2, x3. The clauses are (x1 or x2 or not x3), \
(not x1 or x2 or x3), (not x1 or not x2 or not x3).
x1 = true
x2 = true
x3 = false
Answer: x1 = true, x2 = true, x3 = false

Now """


@dataclass(frozen=True)
class SmallSat(Task):
    """A satisfiable formula; a step is the value of one variable."""

    variables: Annotated[int, Whole(3, 20)] = 5
    """Variables, and steps of a right answer."""
    clauses: Annotated[int, Whole(1, 200)] = 12
    """Distinct clauses of three variables; more clauses leave fewer right answers."""
    count: Count = 10
    """Number of questions; a greater count keeps the first ones."""
    seed: CountOrZero = 0
    """Seed of the questions."""

    @property
    def answer_tokens(self) -> int:
        """Most tokens of an answer: twice each variable with its value."""
        return 20 * self.variables + 24

    def questions(self, measure: Measure) -> Iterator[Question]:
        """The questions in order; BadParameterError for too many clauses."""
        # Of the eight ways to negate three variables, seven hold under the hidden assignment.
        if self.clauses > (most := 7 * comb(self.variables, 3)):
            raise BadParameterError(
                f"clauses={self.clauses} is too many for variables={self.variables}",
                f"give clauses={most} or less",
            )
        names = ", ".join(f"x{number + 1}" for number in range(self.variables))
        for identifier, clauses in distinct("small-sat", self.seed, self.count, self._formula):
            told = ", ".join(f"({' or '.join(map(_literal, clause))})" for clause in clauses)
            yield Question(
                identifier=identifier,
                text=f"{_PROMPT}the variables are {names}. The clauses are {told}.",
                data={"variables": self.variables, "clauses": [list(one) for one in clauses]},
            )

    def check(self, question: Question, answer: str) -> float:
        """1 if the answered values satisfy every clause, else 0."""
        return rightness(_start(question), answer)

    def parsed(self, question: Question, answer: str) -> bool:
        """Whether an answer line states a result."""
        return bool(answers(answer))

    def promise(self, question: Question, text: str) -> float:
        """1 if the values so far extend to a satisfying assignment, else 0."""
        return promise(_start(question), text)

    def _formula(self, random: Random) -> tuple[Clause, ...]:
        """Clauses that hold under a random hidden assignment."""
        hidden = [random.choice((-1, 1)) for _ in range(self.variables)]
        found: dict[Clause, None] = {}
        while len(found) < self.clauses:
            three = sorted(random.sample(range(1, self.variables + 1), 3))
            clause = tuple(one * random.choice((-1, 1)) for one in three)
            if any(one * hidden[abs(one) - 1] > 0 for one in clause):
                found[clause] = None
        return tuple(found)


@dataclass(frozen=True)
class _Values(StepState):
    """The open clauses without false literals, and the free variables."""

    clauses: tuple[Clause, ...]
    free: tuple[int, ...]

    def steps(self) -> Mapping[Words, _Values]:
        return _right_steps(self)

    def right(self, answer: str) -> bool:
        to = self._after(words(answer))
        return to is not None and not to.steps()

    def begins(self, answer: str) -> bool:
        tokens = words(answer)
        end = max(0, len(tokens) - 1) // 4 * 4
        to = self._after(tokens[:end])
        return to is not None and any(starts(tokens[end:], step) for step in to.steps())

    def _after(self, tokens: Words) -> StepState | None:
        """The state after the values of an answer, each of four words like a step."""
        place: StepState | None = self
        while place is not None and tokens:
            place, tokens = place.steps().get(tokens[:4]), tokens[4:]
        return place

    def given(self, literal: int) -> _Values:
        left = tuple(
            tuple(one for one in clause if one != -literal)
            for clause in self.clauses
            if literal not in clause
        )
        return replace(
            self, clauses=left, free=tuple(one for one in self.free if one != abs(literal))
        )

    def satisfiable(self) -> bool:
        if not self.clauses:
            return True
        shortest = min(self.clauses, key=len)
        return any(self.given(literal).satisfiable() for literal in shortest)


@lru_cache(maxsize=1 << 8)
def _right_steps(place: _Values) -> Mapping[Words, _Values]:
    return {
        words(f"x{variable} = {'true' if literal > 0 else 'false'}"): to
        for variable in place.free
        for literal in (variable, -variable)
        if (to := place.given(literal)).satisfiable()
    }


def _literal(number: int) -> str:
    return f"x{number}" if number > 0 else f"not x{-number}"


def _start(question: Question) -> _Values:
    clauses = tuple(tuple(one) for one in question.data["clauses"])
    return _Values(clauses, tuple(range(1, question.data["variables"] + 1)))

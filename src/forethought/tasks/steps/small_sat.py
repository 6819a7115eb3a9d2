"""A formula of three-literal clauses: truth values that satisfy it, variable by variable.

Paper: 3SAT of arXiv:2504.00294
Score: 1 if the values that are given as the answer satisfy every clause.
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
from forethought.tasks.steps._drawing import distinct
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
"""Variables, counted from 1; below 0 where negated."""

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
    """A formula that some values satisfy; a step is the value of one variable."""

    variables: Annotated[int, Whole(3, 20)] = 5
    """Variables, and so steps of a right answer."""
    clauses: Annotated[int, Whole(1, 200)] = 12
    """Clauses of three variables each, all different; the more, the fewer answers are right."""
    count: Count = 10
    """How many questions; asking for more keeps the first ones."""
    seed: CountOrZero = 0
    """Other seeds give other questions."""

    @property
    def answer_tokens(self) -> int:
        """Most tokens an answer needs: for every variable twice its value."""
        return 20 * self.variables + 24

    def questions(self, measure: Measure) -> Iterator[Question]:
        """The questions in order; BadParameterError where there are not so many clauses."""
        # Of the eight ways to negate three variables, seven hold under the hidden values.
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
        """1 if the values that are given as the answer satisfy every clause."""
        return rightness(_start(question), answer)

    def promise(self, question: Question, text: str) -> float:
        """1 if values of the other variables satisfy the formula with those so far, else 0."""
        return promise(_start(question), text)

    def _formula(self, random: Random) -> tuple[Clause, ...]:
        """Clauses that hold under hidden values, which are forgotten."""
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
    """Clauses that do not hold yet, without what is false, and variables without a value."""

    clauses: tuple[Clause, ...]
    free: tuple[int, ...]

    def steps(self) -> Mapping[Words, _Values]:
        return _right_steps(self)

    def right(self, answer: str) -> bool:
        to = self._after(words(answer))
        return to is not None and not to.steps()

    def begins(self, answer: str) -> bool:
        said = words(answer)
        end = max(0, len(said) - 1) // 4 * 4
        to = self._after(said[:end])
        return to is not None and any(starts(said[end:], step) for step in to.steps())

    def _after(self, said: Words) -> StepState | None:
        """Where the values of an answer lead to, each of four words as a step is."""
        place: StepState | None = self
        while place is not None and said:
            place, said = place.steps().get(said[:4]), said[4:]
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

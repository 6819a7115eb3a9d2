"""Procedures of 23 families, stated in full, to follow step by step.

Paper: ProcBench, arXiv:2410.03117 (instances, prompts and the word list are of this project)
Score: prefix accuracy, the states before the first wrong one over the longer trace of both; or 1
    for a right trace (sequential), a right final state (final), a readable answer (parsed).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import gcd
from random import Random
from typing import Annotated, Literal

from forethought.contracts.errors import BadParameterError
from forethought.contracts.parameters import Count, CountOrZero, Whole
from forethought.contracts.questions import Measure, Question, Task
from forethought.tasks.answer_lines import answers
from forethought.tasks.procbench._lists import LISTS
from forethought.tasks.procbench._problem import Family, Problem
from forethought.tasks.procbench._strings import STRINGS
from forethought.tasks.procbench._trace import agreement, canonical, states
from forethought.tasks.procbench._words import WORDS

FAMILIES: dict[str, Family] = {**STRINGS, **LISTS, **WORDS}

_TRIES = 100_000
_GOLDEN = 0.6180339887498949
_FORM = """\
Write the state after every step on a line of its own, and no other text: not the instance, and \
not the state before the first step. The last line is the last state again, after the word \
Answer and a colon."""


@dataclass(frozen=True)
class ProcBench(Task):
    """Instances of the procedures; lengths are spread evenly from `least` to `most` steps."""

    family: Literal[
        "all", "sort", "gather", "count", "search", "copy", "substitute", "encode", "split-1",
        "split-2", "compose", "decompose", "rhythm", "compare", "count-2", "decode", "push-pop",
        "rotate", "fill-word", "delete-char", "delete-word", "cumulate", "move-cyclic",
        "find-cyclic",
    ] = "all"  # fmt: skip
    """The procedure; all: each of the 23."""
    least: Annotated[int, Whole(2, 25)] = 2
    """Fewest steps."""
    most: Annotated[int, Whole(2, 25)] = 25
    """Most steps."""
    count: Count = 10
    """Number of questions of a family; a greater count keeps the first ones."""
    seed: CountOrZero = 0
    """Seed of the questions."""
    score: Literal["prefix", "sequential", "final", "parsed"] = "prefix"
    """What scores: the right prefix, the whole trace, the final state, or any readable answer."""

    @property
    def answer_tokens(self) -> int:
        """Most tokens of an answer: the characters of a long one."""
        return max(_room(family, self.most) for family in self._families)

    def questions(self, measure: Measure) -> Iterator[Question]:
        """The questions in order, families in turn; BadParameterError for least > most."""
        if self.least > self.most:
            raise BadParameterError(
                f"least={self.least} is more than most={self.most}",
                f"give most={self.least} or more",
            )
        seen = set[str]()
        for number in range(self.count):
            for family in self._families:
                yield self._question(family, number, seen)

    def check(self, question: Question, answer: str) -> float:
        """The score of an answer; 0 for an answer without a final state."""
        form = FAMILIES[question.data["family"]].form
        given = states(answer, form)
        if not given:
            return 0.0
        found = agreement(question.data["states"], given, form)
        match self.score:
            case "prefix":
                return found.accuracy
            case "sequential":
                return float(found.accuracy == 1)
            case "final":
                return float(found.final)
        return 1.0

    def parsed(self, question: Question, answer: str) -> bool:
        """Whether the answer states a final state."""
        return bool(states(answer, FAMILIES[question.data["family"]].form))

    def promise(self, question: Question, text: str) -> float:
        """1 if all states so far are right, else 0; of unfinished lines, only an answer counts."""
        form = FAMILIES[question.data["family"]].form
        right = [canonical(state, form) for state in question.data["states"]]
        done, _, last = text.rpartition("\n")
        if whole := states(done, form):
            return float(whole == right)
        listed = states(f"{done}\nAnswer: {right[-1]}", form)[:-1]
        if stated := answers(last):
            return float(listed == right[:-1] and right[-1].startswith(canonical(stated[-1], form)))
        return float(listed == right[: len(listed)])

    @property
    def _families(self) -> tuple[str, ...]:
        return tuple(FAMILIES) if self.family == "all" else (self.family,)

    def _question(self, name: str, number: int, seen: set[str]) -> Question:
        """A question that is not in `seen`, and adds itself to it."""
        random = Random(f"procbench {name} {self.seed} {number}")
        steps = _length(number, self.least, self.most)
        problem = next(one for one in _problems(name, random, steps) if one.given not in seen)
        seen.add(problem.given)
        family, example = FAMILIES[name], _example(name)
        return Question(
            identifier=f"procbench-{name}-{number}",
            text=f"{family.rules}\n{_FORM}\n\nExample:\n{example.given}\nLines:\n"
            f"{answer_of(example)}\n\nNow this one:\n{problem.given}\nLines:",
            answers=(problem.states[-1],),
            data={"family": name, "states": list(problem.states)},
        )


def answer_of(problem: Problem) -> str:
    """The right answer in the form that prompts ask for."""
    return "\n".join([*problem.states, f"Answer: {problem.states[-1]}"])


def _problems(name: str, random: Random, steps: int) -> Iterator[Problem]:
    """Random instances of exactly this many steps.

    No state is empty, and the last two differ, so that a repeated final state is not a step.
    """
    for _ in range(_TRIES):
        one = FAMILIES[name].draw(random, steps)
        if len(one.states) == steps and all(one.states) and one.states[-2] != one.states[-1]:
            yield one
    raise BadParameterError(
        f"procbench found no further instance of {name} with {steps} steps", "lower count"
    )


def _length(number: int, least: int, most: int) -> int:
    """The steps of a question: every length once before one comes again, evenly spread."""
    span = most - least + 1
    stride = max(1, round(span * _GOLDEN))
    while gcd(stride, span) > 1:
        stride += 1
    return least + number * stride % span


@lru_cache
def _example(name: str) -> Problem:
    return next(_problems(name, Random(f"procbench example {name}"), 3))


@lru_cache(maxsize=1 << 10)
def _room(name: str, steps: int) -> int:
    """Characters of an answer to one of eight instances, and a quarter more."""
    found = _problems(name, Random(f"procbench length {name}"), steps)
    return 32 + max(len(answer_of(next(found))) for _ in range(8)) * 5 // 4

"""Generated instructions for a short text with constraints that a program checks.

Paper: IFEval, arXiv:2311.07911 (verifiable instructions); texts and checkers of this project
Score: the share of the constraints that an answer meets; 0 for an empty answer. With strict=true,
    1 if it meets all of them, else 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Annotated, Any

from forethought.contracts.parameters import Count, CountOrZero, Whole
from forethought.contracts.questions import Measure, Question, Task
from forethought.tasks.drawing import distinct
from forethought.tasks.instructions._constraints import KINDS, Constraint, compatible
from forethought.tasks.instructions._text import is_empty, plain
from forethought.tasks.instructions._topics import TOPICS

Named = tuple[str, Constraint]
"""The name of a kind, and a constraint of that kind."""


@dataclass(frozen=True)
class InstructionFollowing(Task):
    """A topic and constraints on form and words; a code fence around a whole answer is ignored."""

    constraints: Annotated[int, Whole(1, 5)] = 3
    """Constraints per question."""
    strict: bool = False
    """Score only answers that meet all constraints."""
    count: Count = 10
    """Number of questions; a greater count keeps the first ones."""
    seed: CountOrZero = 0
    """Seed of the questions."""
    answer_tokens: Count = 256
    """Most tokens of an answer."""

    def questions(self, measure: Measure) -> Iterator[Question]:
        """The questions in order."""
        named = distinct("instruction-following", self.seed, self.count, self._drawn)
        for identifier, (topic, constraints) in named:
            yield Question(
                identifier=identifier,
                text=_put(topic, constraints),
                data={"constraints": [{"kind": kind, **vars(one)} for kind, one in constraints]},
            )

    def check(self, question: Question, answer: str) -> float:
        """The share of the constraints that an answer meets, or with `strict` whether all."""
        text = plain(answer)
        if is_empty(text):
            return 0.0
        met = [_built(one).met(text) for one in question.data["constraints"]]
        return float(all(met)) if self.strict else sum(met) / len(met)

    def stated(self, answer: str) -> str:
        """The whole text: its case and layout count."""
        return plain(answer)

    def _drawn(self, random: Random) -> tuple[str, tuple[Named, ...]]:
        topic = random.choice(TOPICS)
        kinds = _kinds(random, self.constraints)
        return topic.name, tuple((kind, KINDS[kind].drawn(random, topic)) for kind in kinds)


def _kinds(random: Random, count: int) -> list[str]:
    """Random kinds that one text can meet together."""
    while True:
        found: list[str] = []
        for kind in random.sample(list(KINDS), len(KINDS)):
            if len(found) < count and compatible(kind, found):
                found.append(kind)
        if len(found) == count:
            return found


def _put(topic: str, constraints: tuple[Named, ...]) -> str:
    listed = "\n".join(f"{n}. {one.asked()}" for n, (_, one) in enumerate(constraints, 1))
    return (
        f"Write a short text about {topic}. It must meet all of these conditions:\n{listed}\n\n"
        "Reply with the text alone."
    )


def _built(values: Mapping[str, Any]) -> Constraint:
    settings = dict(values)
    return KINDS[settings.pop("kind")](**settings)

"""A path along arrows between numbered points, among dead ends.

Paper: NLGraph, arXiv:2305.10037
Score: 1 if the answered path follows arrows from the start to the goal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
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

Arrow = tuple[int, int]

_PROMPT = f"""\
Find a way along arrows from a start to a goal. Some ways are dead ends. For each arrow of the \
way, beginning at the start, write: point it leaves -> point it comes to. The answer is all \
points of the way.
{STEPS_ONLY}

Example: the arrows are 3 -> 5, 1 -> 4, 3 -> 1, 4 -> 2. The start is 3 and the goal is 2.
3 -> 1
1 -> 4
4 -> 2
Answer: 3 -> 1 -> 4 -> 2

Now """


@dataclass(frozen=True)
class GraphPath(Task):
    """Points and arrows with one path from start to goal; a step is one arrow."""

    nodes: Annotated[int, Whole(2, 999)] = 12
    """Number of points; points off the path lead to dead ends."""
    depth: Annotated[int, Whole(1, 998)] = 4
    """Arrows on the path, and steps of a right answer."""
    count: Count = 10
    """Number of questions; a greater count keeps the first ones."""
    seed: CountOrZero = 0
    """Seed of the questions."""

    @property
    def answer_tokens(self) -> int:
        """Most tokens of an answer: twice each arrow with its points."""
        return 20 * self.depth + 24

    def questions(self, measure: Measure) -> Iterator[Question]:
        """The questions in order; BadParameterError for too few points."""
        if self.nodes <= self.depth:
            raise BadParameterError(
                f"nodes={self.nodes} is too few for a way of depth={self.depth}",
                f"give nodes={self.depth + 1} or more",
            )
        for identifier, (way, arrows) in distinct("graph-path", self.seed, self.count, self._graph):
            told = ", ".join(f"{one} -> {other}" for one, other in arrows)
            ends = f"The start is {way[0]} and the goal is {way[-1]}."
            yield Question(
                identifier=identifier,
                text=f"{_PROMPT}the arrows are {told}. {ends}",
                answers=(" -> ".join(map(str, way)),),
                data={"arrows": [list(arrow) for arrow in arrows], "ends": [way[0], way[-1]]},
            )

    def check(self, question: Question, answer: str) -> float:
        """1 if the answered path follows arrows from the start to the goal, else 0."""
        return rightness(_start(question), answer)

    def parsed(self, question: Question, answer: str) -> bool:
        """Whether an answer line states a result."""
        return bool(answers(answer))

    def promise(self, question: Question, text: str) -> float:
        """1 if the steps so far follow arrows and the goal is still reachable, else 0."""
        return promise(_start(question), text)

    def _graph(self, random: Random) -> tuple[tuple[int, ...], tuple[Arrow, ...]]:
        """A path and all arrows: a tree rooted in the start, with the goal as a leaf."""
        names = random.sample(range(1, self.nodes + 1), self.nodes)
        way, others = names[: self.depth + 1], names[self.depth + 1 :]
        arrows = list(pairwise(way))
        grown = way[:-1]
        for name in others:
            arrows.append((random.choice(grown), name))
            grown.append(name)
        random.shuffle(arrows)
        return tuple(way), tuple(arrows)


@dataclass(frozen=True)
class _Point(StepState):
    """The current point of the path."""

    arrows: frozenset[Arrow]
    start: int
    at: int
    goal: int

    def steps(self) -> Mapping[Words, _Point]:
        reaching = _reaching(self.arrows, self.goal)
        return {
            words(f"{one} -> {other}"): replace(self, at=other)
            for one, other in self.arrows
            if one == self.at and other in reaching
        }

    def right(self, answer: str) -> bool:
        points = _points(answer)
        if len(points) < 2 or not all(point.isdecimal() for point in points):
            return False
        # Truncated, since a number of more digits is not a point.
        way = [int(point[:9]) for point in points]
        follows = all(arrow in self.arrows for arrow in pairwise(way))
        return follows and way[0] == self.start and way[-1] == self.goal

    def begins(self, answer: str) -> bool:
        *before, last = _points(answer) or ("",)
        place = replace(self, at=self.start)
        if not before:
            return starts((last,), (str(self.start),)) if last else True
        for point in before[1:]:
            following = place.steps().get(words(f"{place.at} -> {point}"))
            if following is None:
                return False
            place = following
        ends = [str(point.at) for point in place.steps().values()]
        return before[0] == str(self.start) and any(end.startswith(last) for end in ends)


def _reaching(arrows: frozenset[Arrow], goal: int) -> set[int]:
    """The points from which the goal is reachable, goal included."""
    found, fresh = {goal}, {goal}
    while fresh:
        fresh = {one for one, other in arrows if other in fresh} - found
        found |= fresh
    return found


def _points(answer: str) -> tuple[str, ...]:
    return tuple(word for word in words(answer) if word not in "->")


def _start(question: Question) -> _Point:
    start, goal = question.data["ends"]
    arrows = frozenset((one, other) for one, other in question.data["arrows"])
    return _Point(arrows, start, start, goal)

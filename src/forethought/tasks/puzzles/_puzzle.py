"""A puzzle: a position, legal moves, and answers that are lists of moves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import KW_ONLY, dataclass
from random import Random
from typing import Literal, Protocol

from forethought.contracts.names import method_name
from forethought.contracts.parameters import Count, CountOrZero
from forethought.contracts.questions import Measure, Question, Task
from forethought.tasks.drawing import distinct
from forethought.tasks.puzzles._moves import Move, moves, moves_so_far

Labels = tuple[str, ...]
"""The names of an instance's parts, which distinguish instances of one size."""
MOST_TOKENS = 64_000
"""The published limit of an answer."""

_FORM = """\
Write only the complete list of moves, in this form:
moves = [{}]"""


class Position(Protocol):
    """The position of a puzzle between two moves."""

    @property
    def solved(self) -> bool:
        """Whether this is the goal."""
        ...

    @property
    def solvable(self) -> bool:
        """Whether legal moves lead from here to the goal."""
        return True

    def fault(self, move: Move) -> str:
        """The kind of rule that a move breaks; empty for a legal move."""
        ...

    def after(self, move: Move) -> Position:
        """The position after a legal move."""
        ...


@dataclass(frozen=True)
class Replay:
    """Moves played until the first illegal one."""

    legal: int
    """Moves before the first illegal one."""
    fault: str
    """The rule that the first illegal move breaks; empty if all are legal."""
    end: Position
    """The position after the legal moves."""

    @property
    def solved(self) -> bool:
        """Whether every move is legal and the last one reaches the goal."""
        return not self.fault and self.end.solved


def replay(start: Position, played: Iterable[Move]) -> Replay:
    """Play moves until one is illegal."""
    place, legal = start, 0
    for move in played:
        if fault := place.fault(move):
            return Replay(legal, fault, place)
        place, legal = place.after(move), legal + 1
    return Replay(legal, "", place)


@dataclass(frozen=True)
class Puzzle(Task):
    """Instances of one size; with seed 0 the first one has the published names."""

    size: int
    """Parts of the puzzle."""
    _: KW_ONLY
    count: Count = 1
    """Number of questions, which differ in names; a greater count keeps the first ones."""
    seed: CountOrZero = 0
    """Seed of the questions' names."""
    score: Literal["solved", "legal", "parsed"] = "solved"
    """What scores: reaching the goal, the share of moves before an illegal one, or any list."""

    @property
    def minimum(self) -> int:
        """Moves of a shortest solution; BadParameterError if there is no solution."""
        raise NotImplementedError

    @property
    def published(self) -> Labels:
        """The names of the published instance."""
        raise NotImplementedError

    def renamed(self, random: Random) -> Labels:
        """Random names."""
        raise NotImplementedError

    def told(self, labels: Labels) -> str:
        """The rules and the instance."""
        raise NotImplementedError

    @property
    def form(self) -> str:
        """The form of the first moves, with placeholders."""
        raise NotImplementedError

    def start(self, labels: Labels) -> Position:
        """The position before the first move."""
        raise NotImplementedError

    @property
    def answer_tokens(self) -> int:
        """Most tokens of an answer, a list alone: 16 for each move of a shortest solution."""
        return min(MOST_TOKENS, 64 + 16 * self.minimum)

    def questions(self, measure: Measure) -> Iterator[Question]:
        """The questions in order; BadParameterError for instances without a solution."""
        minimum, name = self.minimum, method_name(type(self))
        first = iter([self.published] if self.seed == 0 else [])

        def draw(random: Random) -> Labels:
            return next(first, ()) or self.renamed(random)

        for identifier, labels in distinct(f"{name}-{self.size}", self.seed, self.count, draw):
            yield Question(
                identifier=identifier,
                text=f"{self.told(labels)}\n\n{_FORM.format(self.form)}",
                data={"labels": list(labels), "minimum": minimum},
            )

    def check(self, question: Question, answer: str) -> float:
        """The score of an answer; 0 for an answer without a complete list of moves."""
        played = moves(answer)
        if played is None:
            return 0.0
        if self.score == "parsed":
            return 1.0
        found = self.replayed(question, played)
        return found.legal / max(1, len(played)) if self.score == "legal" else float(found.solved)

    def promise(self, question: Question, text: str) -> float:
        """1 if the moves so far are legal and lead to a solvable position, else 0."""
        whole = moves(text)
        if whole is not None:
            return float(self.replayed(question, whole).solved)
        found = self.replayed(question, moves_so_far(text))
        return float(not found.fault and found.end.solvable)

    def stated(self, answer: str) -> str:
        """The list of moves, in which capitals count; empty without a complete list."""
        return str(moves(answer) or "")

    def parsed(self, question: Question, answer: str) -> bool:
        """Whether the answer holds a complete list of moves, be it empty."""
        return moves(answer) is not None

    def replayed(self, question: Question, played: Iterable[Move]) -> Replay:
        """An answer's moves, played from the start of a question."""
        return replay(self.start(tuple(question.data["labels"])), played)

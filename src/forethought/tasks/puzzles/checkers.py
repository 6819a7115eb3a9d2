"""Checker jumping: two rows of checkers exchange their places across one gap.

Paper: The Illusion of Thinking, arXiv:2506.06941 (rules and sizes; the prompt is ours)
Score: 1 if every move is legal and the last one reaches the goal (solved); or the share of moves
    before the first illegal one (legal); or 1 for any complete list (parsed).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from random import Random
from string import ascii_uppercase
from typing import Annotated

from forethought.contracts.parameters import Whole
from forethought.tasks.puzzles._moves import Move
from forethought.tasks.puzzles._puzzle import Labels, Position, Puzzle

_GAP = "_"


@dataclass(frozen=True)
class Checkers(Puzzle):
    """Equally many checkers of two colours in a row, on both sides of a gap."""

    size: Annotated[int, Whole(1, 60)] = 2
    """Number of checkers of each colour."""

    @property
    def minimum(self) -> int:
        """Moves of a shortest solution; all solutions have this length."""
        return (self.size + 1) ** 2 - 1

    @property
    def published(self) -> Labels:
        """Red and blue."""
        return ("R", "B")

    def renamed(self, random: Random) -> Labels:
        """Two different letters."""
        return tuple(random.sample(ascii_uppercase, 2))

    def told(self, labels: Labels) -> str:
        """The rules and the instance."""
        left, right = labels
        row = [left] * self.size + [_GAP] + [right] * self.size
        return (
            f"A row has {len(row)} positions, 0 to {len(row) - 1}: {' '.join(row)}. {_GAP} is an "
            f"empty position. Checkers {left} move only to the right, checkers {right} only to "
            "the left. A checker slides to the next position if it is empty, or jumps over one "
            "checker of the other kind to the empty position behind it. The goal is: "
            f"{' '.join(reversed(row))}. Write a move as [checker, from position, to position]."
        )

    @property
    def form(self) -> str:
        """The form of the first moves, with placeholders."""
        return "[checker, from, to], [checker, from, to], ..."

    def start(self, labels: Labels) -> Position:
        """The row before the first move."""
        left, right = labels
        return _Row((left,) * self.size + (_GAP,) + (right,) * self.size, labels)


@dataclass(frozen=True)
class _Row(Position):
    row: tuple[str, ...]
    kinds: Labels
    """The kind that moves to the right, then the kind that moves to the left."""

    @property
    def solved(self) -> bool:
        half = len(self.row) // 2
        left, right = self.kinds
        return self.row == (right,) * half + (_GAP,) + (left,) * half

    @property
    def solvable(self) -> bool:
        return self.row in _solvable(len(self.row) // 2, self.kinds)

    def fault(self, move: Move) -> str:
        places = [str(place) for place in range(len(self.row))]
        if len(move) != 3 or move[0] not in self.kinds or not {*move[1:]} <= {*places}:
            return "not a move"
        start, end = map(int, move[1:])
        if self.row[start] != move[0]:
            return "not there"
        if self.row[end] != _GAP:
            return "not empty"
        distance = end - start if move[0] == self.kinds[0] else start - end
        if distance < 0:
            return "backwards"
        if distance == 2 and self.row[(start + end) // 2] == move[0]:
            return "over its own kind"
        return "" if distance in (1, 2) else "too far"

    def after(self, move: Move) -> _Row:
        start, end = map(int, move[1:])
        row = [*self.row]
        row[start], row[end] = _GAP, move[0]
        return replace(self, row=tuple(row))

    def only_move(self, kind: str) -> Move:
        """The move of a kind to the gap, of which there is at most one."""
        gap, side = self.row.index(_GAP), 1 if kind == self.kinds[0] else -1
        starts = [gap - side * distance for distance in (1, 2)]
        told = [(kind, str(start), str(gap)) for start in starts if 0 <= start < len(self.row)]
        return next(move for move in told if not self.fault(move))


def solution(start: _Row, first: str) -> Iterator[_Row]:
    """The positions of the solution that begins with a move of this kind.

    There are exactly two solutions: the kinds move by turns, 1, 2, ..., n - 1, n, n, n, n - 1,
    ..., 1 times.
    """
    size, place = len(start.row) // 2, start
    runs = [*range(1, size), size, size, size, *range(size - 1, 0, -1)]
    other = next(kind for kind in start.kinds if kind != first)
    yield place
    for turn, run in enumerate(runs):
        for _ in range(run):
            place = place.after(place.only_move((first, other)[turn % 2]))
            yield place


@lru_cache(maxsize=16)
def _solvable(size: int, kinds: Labels) -> frozenset[tuple[str, ...]]:
    """The rows of both solutions."""
    start = _Row((kinds[0],) * size + (_GAP,) + (kinds[1],) * size, kinds)
    return frozenset(place.row for first in kinds for place in solution(start, first))

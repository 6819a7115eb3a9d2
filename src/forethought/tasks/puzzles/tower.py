"""Tower of Hanoi: move a stack of disks to another peg, never a larger disk on a smaller one.

Paper: The Illusion of Thinking, arXiv:2506.06941 (rules, sizes and limits; the prompt is ours)
Score: 1 if every move is legal and the last one reaches the goal (solved); or the share of moves
    before the first illegal one (legal); or 1 for any complete list (parsed).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Annotated

from forethought.contracts.parameters import Whole
from forethought.tasks.puzzles._moves import Move
from forethought.tasks.puzzles._puzzle import Labels, Position, Puzzle

_PEGS = ("0", "1", "2")
_ALGORITHM = """\


Use this procedure:
solve(n, from, to, other):
  if n is 0: stop
  solve(n - 1, from, other, to)
  move disk n from peg "from" to peg "to"
  solve(n - 1, other, to, from)"""


@dataclass(frozen=True)
class Tower(Puzzle):
    """A stack of disks on one of three pegs, to be moved to another one."""

    size: Annotated[int, Whole(1, 20)] = 3
    """Number of disks."""
    algorithm: bool = False
    """Whether the prompt states the recursive procedure."""

    @property
    def minimum(self) -> int:
        """Moves of a shortest solution."""
        return (1 << self.size) - 1

    @property
    def published(self) -> Labels:
        """From the first peg to the last."""
        return ("0", "2")

    def renamed(self, random: Random) -> Labels:
        """Two different pegs."""
        return tuple(random.sample(_PEGS, 2))

    def told(self, labels: Labels) -> str:
        """The rules and the instance."""
        start, goal = labels
        disks = ", ".join(map(str, range(self.size, 0, -1)))
        return (
            f"There are three pegs, 0, 1 and 2, and {self.size} disks of different size; disk 1 is "
            "the smallest. A move takes the top disk of a peg and puts it on top of another peg. "
            "A disk must never lie on a smaller disk. At the start, all disks are on peg "
            f"{start}, from bottom to top: {disks}. The goal is to have all of them on peg {goal}."
            " Write a move as [disk, from peg, to peg]." + (_ALGORITHM if self.algorithm else "")
        )

    @property
    def form(self) -> str:
        """The form of the first moves, with placeholders."""
        return "[disk, from, to], [disk, from, to], ..."

    def start(self, labels: Labels) -> Position:
        """All disks on one peg."""
        start, goal = map(int, labels)
        disks = tuple(range(self.size, 0, -1))
        return _Pegs(tuple(disks if peg == start else () for peg in range(3)), goal)


@dataclass(frozen=True)
class _Pegs(Position):
    pegs: tuple[tuple[int, ...], ...]
    """The disks on each peg, from bottom to top."""
    goal: int

    @property
    def solved(self) -> bool:
        return not any(disks for peg, disks in enumerate(self.pegs) if peg != self.goal)

    def fault(self, move: Move) -> str:
        if len(move) != 3 or not {*move[1:]} <= {*_PEGS}:
            return "not a move"
        left, right = (self.pegs[int(peg)] for peg in move[1:])
        if not left or str(left[-1]) != move[0]:
            return "not on top"
        return "on a smaller disk" if right and right[-1] < left[-1] else ""

    def after(self, move: Move) -> _Pegs:
        left, right = map(int, move[1:])
        disk, pegs = self.pegs[left][-1], [*self.pegs]
        pegs[left] = pegs[left][:-1]
        pegs[right] = (*pegs[right], disk)
        return replace(self, pegs=tuple(pegs))

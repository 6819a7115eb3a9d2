"""Blocks world: interleave two stacks of blocks on one of them, one block a move.

Paper: The Illusion of Thinking, arXiv:2506.06941 (rules and layout; the prompt is ours)
Score: 1 if every move is legal and the last one reaches the goal (solved); or the share of moves
    before the first illegal one (legal); or 1 for any complete list (parsed).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import zip_longest
from random import Random
from string import ascii_uppercase
from typing import Annotated

from forethought.contracts.parameters import Whole
from forethought.tasks.puzzles._moves import Move
from forethought.tasks.puzzles._puzzle import Labels, Position, Puzzle

_STACKS = ("0", "1", "2")


@dataclass(frozen=True)
class Blocks(Puzzle):
    """Two stacks of blocks and an empty place; the goal alternates between both stacks."""

    size: Annotated[int, Whole(2, 200)] = 4
    """Number of blocks."""

    @property
    def minimum(self) -> int:
        """Moves of a shortest solution."""
        return 2 * self.size - 1

    @property
    def published(self) -> Labels:
        """The first letters of the alphabet."""
        return self._names[: self.size]

    def renamed(self, random: Random) -> Labels:
        """Random letters."""
        return tuple(random.sample(self._names, self.size))

    def told(self, labels: Labels) -> str:
        """The rules and the instance."""
        first, second, goal = (", ".join(row) for row in (*_start(labels), _goal(labels)))
        return (
            "There are three stacks of blocks, 0, 1 and 2. A move takes the top block of a stack "
            "and puts it on top of another stack, which may be empty. From bottom to top, stack 0 "
            f"is {first}, stack 1 is {second}, and stack 2 is empty. The goal is to have all "
            f"blocks on stack 0, from bottom to top: {goal}. "
            "Write a move as [block, from stack, to stack]."
        )

    @property
    def form(self) -> str:
        """The form of the first moves, with placeholders."""
        return "[block, from, to], [block, from, to], ..."

    def start(self, labels: Labels) -> Position:
        """The blocks on two stacks."""
        return _Stacks((*_start(labels), ()), _goal(labels))

    @property
    def _names(self) -> Labels:
        numbered = (f"{letter}{number}" for number in range(1, 10) for letter in ascii_uppercase)
        return tuple(ascii_uppercase if self.size <= 26 else numbered)


@dataclass(frozen=True)
class _Stacks(Position):
    stacks: tuple[Labels, ...]
    """The blocks on each stack, from bottom to top."""
    goal: Labels

    @property
    def solved(self) -> bool:
        return self.stacks == (self.goal, (), ())

    def fault(self, move: Move) -> str:
        if len(move) != 3 or not {*move[1:]} <= {*_STACKS}:
            return "not a move"
        left = self.stacks[int(move[1])]
        return "" if left and left[-1] == move[0] else "not on top"

    def after(self, move: Move) -> _Stacks:
        left, right = map(int, move[1:])
        stacks = [*self.stacks]
        stacks[left] = stacks[left][:-1]
        stacks[right] = (*stacks[right], move[0])
        return replace(self, stacks=tuple(stacks))


def _start(labels: Labels) -> tuple[Labels, Labels]:
    """Both stacks; of an odd number, the first one has one block more."""
    half = (len(labels) + 1) // 2
    return labels[:half], labels[half:]


def _goal(labels: Labels) -> Labels:
    """The tops of both stacks by turns; from bottom to top, the longer stack or the second begins.

    This order needs 2 n - 1 moves of n blocks: nearly every block of the first stack moves three
    times, since its order has to be reversed twice.
    """
    first, second = _start(labels)
    rows = (first, second) if len(first) > len(second) else (second, first)
    turns = zip_longest(*map(reversed, rows))
    return tuple(block for pair in turns for block in pair if block)

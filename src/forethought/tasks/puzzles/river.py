"""River crossing: clients and agents cross in a boat, no client near a foreign agent alone.

Paper: The Illusion of Thinking, arXiv:2506.06941 (rules and sizes; its instances of six pairs and
    more, which have no solution, get a larger boat here; the prompt is ours)
Score: 1 if every move is legal and the last one reaches the goal (solved); or the share of moves
    before the first illegal one (legal); or 1 for any complete list (parsed).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from string import ascii_lowercase
from typing import Annotated

from forethought.contracts.errors import BadParameterError
from forethought.contracts.parameters import Whole
from forethought.tasks.puzzles._moves import Move
from forethought.tasks.puzzles._puzzle import Labels, Position, Puzzle

_MOST_PAIRS = {1: 0, 2: 3, 3: 5, 4: 26}
"""The most pairs that a boat of each size carries across."""


@dataclass(frozen=True)
class River(Puzzle):
    """Pairs of a client and an agent on the left bank, and a boat."""

    size: Annotated[int, Whole(1, 26)] = 2
    """Number of pairs."""
    boat: Annotated[int, Whole(0, 4)] = 0
    """Most people in the boat; 0: the fewest with which there is a solution."""

    @property
    def minimum(self) -> int:
        """Moves of a shortest solution; BadParameterError if there is no solution."""
        pairs, boat = self.size, self._places
        if 2 * pairs <= boat:
            return 1
        if boat == 2:
            return {2: 5, 3: 11}[pairs]
        if boat == 3:
            return {2: 3, 3: 5, 4: 9, 5: 11}[pairs]
        return 2 * pairs - 3

    @property
    def published(self) -> Labels:
        """The first letters of the alphabet."""
        return tuple(ascii_lowercase[: self.size])

    def renamed(self, random: Random) -> Labels:
        """Random letters."""
        return tuple(random.sample(ascii_lowercase, self.size))

    def told(self, labels: Labels) -> str:
        """The rules and the instance."""
        pairs = ", ".join(f"{one} and {one.upper()}" for one in labels)
        return (
            f"{self.size} clients and their agents stand on the left bank of a river. A small "
            "letter is a client, and the same letter as a capital is the agent of this client: "
            f"{pairs}. A boat at the left bank carries 1 to {self._places} people and never moves "
            "empty. Everyone must get to the right bank. At no time may a client be in a place "
            "(left bank, right bank or boat) with another client's agent, unless the client's own "
            "agent is in that place too. Write a move as the list of people in the boat; moves go "
            "to the right and to the left by turns."
        )

    @property
    def form(self) -> str:
        """The form of the first moves, with placeholders."""
        return "[person, person], [person], ..."

    def start(self, labels: Labels) -> Position:
        """All people and the boat on the left bank."""
        everyone = frozenset({*labels, *(one.upper() for one in labels)})
        return _Banks(everyone, everyone, self._places)

    @property
    def _places(self) -> int:
        """Most people in the boat; BadParameterError if it is too small."""
        fewest = min(boat for boat, most in _MOST_PAIRS.items() if self.size <= most)
        if 0 < self.boat < fewest:
            raise BadParameterError(
                f"river: {self.size} pairs cannot cross with boat={self.boat}",
                f"give boat={fewest} or more, or boat=0 for the smallest",
            )
        return self.boat or fewest


@dataclass(frozen=True)
class _Banks(Position):
    everyone: frozenset[str]
    left: frozenset[str]
    """The people on the left bank."""
    places: int
    """Most people in the boat."""
    at_left: bool = True
    """Whether the boat is at the left bank."""

    @property
    def solved(self) -> bool:
        return not self.left

    def fault(self, move: Move) -> str:
        here = self.left if self.at_left else self.everyone - self.left
        group = frozenset(move)
        if not group <= self.everyone or len(group) != len(move):
            return "not a move"
        if not 1 <= len(move) <= self.places:
            return "too many or too few in the boat"
        if not group <= here:
            return "not on the boat's side"
        # An unsafe boat needs no check: the own agent stays behind, so the arrival bank is unsafe.
        safe = _safe(here - group) and _safe(self.everyone - here | group)
        return "" if safe else "with a foreign agent"

    def after(self, move: Move) -> _Banks:
        return replace(self, left=self.left ^ frozenset(move), at_left=not self.at_left)


def _safe(people: frozenset[str]) -> bool:
    """Whether every client is without foreign agents, or beside the own agent."""
    if not any(one.isupper() for one in people):
        return True
    return all(one.upper() in people for one in people if one.islower())

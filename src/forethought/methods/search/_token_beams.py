"""Beams that grow by a token at a time, and the groups they compete in."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from forethought.contracts.search import Ask, Candidate, NextToken, Path, take

Tokens = tuple[int, ...]
Identity = tuple[str, Path]
"""Of a candidate."""
Child = tuple[Identity, int]
"""A candidate, and a token behind it: what several groups may come to."""


@dataclass(frozen=True)
class TokenBeam:
    """A beginning of an answer, or all of one."""

    candidate: Candidate
    score: float = 0.0
    """The log-probability of its tokens, less what was taken from it on the way."""
    tokens: Tokens = ()
    """Its tokens, the one that ended it included."""


@dataclass(frozen=True)
class Pick:
    """A token that a beam may go on with."""

    beam: TokenBeam
    token: int
    score: float
    """The beam's with this token."""

    @property
    def child(self) -> Child:
        """What it comes to."""
        return self.beam.candidate.identity, self.token

    @property
    def tokens(self) -> Tokens:
        """The beam's, then this one."""
        return (*self.beam.tokens, self.token)


@dataclass
class BeamGroup:
    """Beams that compete with each other and with no others."""

    growing: list[TokenBeam]
    ended: list[TokenBeam]
    """The best of those that ended, best first."""

    def picks(
        self,
        options: Mapping[Identity, Sequence[NextToken]],
        penalty: Callable[[Tokens], float],
        width: int,
    ) -> list[Pick]:
        """The best ways on, of all its beams: of equal ones the lower token, the earlier beam.

        `penalty` is what a beam of these tokens loses by the last of them.
        """
        found = [
            Pick(beam, one.token, beam.score + one.log_probability - penalty(tokens))
            for beam in self.growing
            for one in options[beam.candidate.identity]
            for tokens in [(*beam.tokens, one.token)]
        ]
        return sorted(found, key=lambda one: (-one.score, one.token))[:width]

    def advance(self, beams: Iterable[TokenBeam], width: int) -> list[TokenBeam]:
        """Go on with what its picks came to; the beams that are given up.

        A score only falls: once as many have ended as are wanted, what grows and scores no
        better cannot come in among them.
        """
        beams = list(beams)
        self.growing = [one for one in beams if not one.candidate.whole]
        ended = [*self.ended, *(one for one in beams if one.candidate.whole)]
        ended.sort(key=lambda one: -one.score)
        self.ended, given_up = ended[:width], ended[width:]
        best = max((one.score for one in self.growing), default=-math.inf)
        if len(self.ended) == width and self.ended[-1].score >= best:
            given_up += self.growing
            self.growing = []
        return given_up


def taken(
    picks: Iterable[Sequence[Pick]],
) -> Generator[Ask, Any, dict[Child, Candidate]]:
    """What the picks of all groups come to; what several come to is written once."""
    wanted = {one.child: one for group in picks for one in group}
    written = yield from take(
        [one.beam.candidate for one in wanted.values()], [one.token for one in wanted.values()]
    )
    return dict(zip(wanted, written, strict=True))

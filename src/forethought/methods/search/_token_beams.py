"""Beams that grow token by token, and the groups in which they compete."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from forethought.contracts.search import Ask, Candidate, NextToken, Path, take

Tokens = tuple[int, ...]
Identity = tuple[str, Path]
"""The identity of a candidate."""
Child = tuple[Identity, int]
"""A candidate and its next token, which several groups may share."""


@dataclass(frozen=True)
class TokenBeam:
    """A partial or finished answer."""

    candidate: Candidate
    score: float = 0.0
    """The log-probability of its tokens, less all penalties."""
    tokens: Tokens = ()
    """Its tokens, the end token included."""


@dataclass(frozen=True)
class Pick:
    """A possible next token of a beam."""

    beam: TokenBeam
    token: int
    score: float
    """The beam's score with this token."""

    @property
    def child(self) -> Child:
        """The candidate and the token."""
        return self.beam.candidate.identity, self.token

    @property
    def tokens(self) -> Tokens:
        """The beam's tokens and this one."""
        return (*self.beam.tokens, self.token)


@dataclass
class BeamGroup:
    """Beams that compete with each other only."""

    growing: list[TokenBeam]
    ended: list[TokenBeam]
    """The best finished beams, best first."""

    def picks(
        self,
        options: Mapping[Identity, Sequence[NextToken]],
        penalty: Callable[[Tokens], float],
        width: int,
    ) -> list[Pick]:
        """The best next tokens over all beams; ties go to the lower token, then the earlier beam.

        `penalty` maps a beam's tokens to the penalty of the last of them.
        """
        found = [
            Pick(beam, one.token, beam.score + one.log_probability - penalty(tokens))
            for beam in self.growing
            for one in options[beam.candidate.identity]
            for tokens in [(*beam.tokens, one.token)]
        ]
        return sorted(found, key=lambda one: (-one.score, one.token))[:width]

    def advance(self, beams: Iterable[TokenBeam], width: int) -> list[TokenBeam]:
        """Replace the beams by their children, and return the beams given up.

        Scores only fall, so a growing beam cannot displace `width` finished beams of higher score.
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
    """The children of the picks of all groups; a child that groups share is decoded once."""
    wanted = {one.child: one for group in picks for one in group}
    written = yield from take(
        [one.beam.candidate for one in wanted.values()], [one.token for one in wanted.values()]
    )
    return dict(zip(wanted, written, strict=True))

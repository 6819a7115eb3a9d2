"""Groups of beams, token by token: each group avoids the tokens of earlier groups.

Paper: Diverse Beam Search, arXiv:1610.02424
Published: paper; Hamming diversity at weight 0.5. Final answers rank by mean log-probability
    without the penalty.
Exact: equals greedy decoding at groups=1 and width=1; at diversity=0 every group is beam search of
    its width, as the first group always is.
Cost: a token of every beam at each step, in one batch; equal beams of several groups count once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from forethought.contracts.errors import BudgetSpentError
from forethought.contracts.parameters import Count, Range, Share
from forethought.contracts.search import (
    Ability,
    Ask,
    Candidate,
    Found,
    NextToken,
    Search,
    Strategy,
    following,
)
from forethought.methods.search._answers import budget_spent
from forethought.methods.search._choice import given_up
from forethought.methods.search._token_beams import (
    BeamGroup,
    Identity,
    Pick,
    TokenBeam,
    Tokens,
    taken,
)


@dataclass(frozen=True)
class DiverseBeam(Strategy):
    """The likeliest answer of all groups."""

    groups: Count = 4
    """Groups of beams; each avoids the tokens of earlier groups."""
    width: Count = 1
    """Beams and answers of a group, by their summed log-probability."""
    diversity: Annotated[float, Range(0, 1000)] = 0.5
    """Penalty on a token's log-probability for each use in earlier groups."""
    avoid: Literal["place", "phrase"] = "place"
    """Unit of the penalty: a token at the same place, or a phrase at any place."""
    phrase: Count = 2
    """Tokens of a phrase."""
    length: Share = 1.0
    """Length normalisation: log-probability over length to this power. 1 is the mean per token, 0
    the sum, which favours short answers."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"next-tokens"})

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Extend every group token by token until it has its answers."""
        groups = [BeamGroup([TokenBeam(start)], []) for _ in range(self.groups)]
        left: list[TokenBeam] = []
        written: list[Candidate] = []
        notes: tuple[str, ...] = ()
        while any(group.growing for group in groups) and not budget_spent(written):
            try:
                options = yield from self._options(groups)
            except BudgetSpentError as error:
                notes = (error.message,)
                break
            picks = self._picks(groups, options)
            children = yield from taken(picks)
            written = list(children.values())
            for group, mine in zip(groups, picks, strict=True):
                beams = [TokenBeam(children[one.child], one.score, one.tokens) for one in mine]
                left += group.advance(beams, self.width)
        return self._found(groups, left, notes)

    def _options(
        self, groups: Sequence[BeamGroup]
    ) -> Generator[Ask, Any, dict[Identity, Sequence[NextToken]]]:
        """The top next tokens of each beam, enough that no penalty promotes any other token."""
        beams = {one.candidate.identity: one for group in groups for one in group.growing}
        most = self.groups * self.width + self._avoided(groups, beams.values())
        told = yield from following([one.candidate for one in beams.values()], most)
        return dict(zip(beams, told, strict=True))

    def _avoided(self, groups: Sequence[BeamGroup], beams: Iterable[TokenBeam]) -> int:
        """Most tokens with a penalty after a beam, besides those of this step."""
        if self.avoid == "place":
            return 0
        phrases = {phrase for group in groups for phrase in self._said(group, group.growing)}
        behind = Counter(phrase[:-1] for phrase in phrases)
        return max(behind[self._last(one.tokens, self.phrase - 1)] for one in beams)

    def _picks(
        self, groups: Sequence[BeamGroup], options: dict[Identity, Sequence[NextToken]]
    ) -> list[list[Pick]]:
        """The picks of each group, in order."""
        said: Counter[Tokens] = Counter()
        size = self.phrase if self.avoid == "phrase" else 1
        picks: list[list[Pick]] = []
        for group in groups:
            mine = group.picks(
                options,
                lambda tokens: self.diversity * said[self._last(tokens, size)],
                self.width,
            )
            said.update(self._said(group, mine))
            picks.append(mine)
        return picks

    def _said(self, group: BeamGroup, going_on: Iterable[TokenBeam | Pick]) -> Iterator[Tokens]:
        """The tokens or phrases of a group that later groups avoid."""
        if self.avoid == "place":
            for one in going_on:
                yield one.tokens[-1:]
            return
        for said in [*going_on, *group.ended]:
            for end in range(self.phrase, len(said.tokens) + 1):
                yield said.tokens[end - self.phrase : end]

    @staticmethod
    def _last(tokens: Tokens, count: int) -> Tokens:
        return tokens[max(0, len(tokens) - count) :]

    def _found(
        self, groups: Sequence[BeamGroup], left: Iterable[TokenBeam], notes: tuple[str, ...]
    ) -> Found:
        """The likeliest finished answer, or the likeliest partial one if there is none."""
        growing = [one for group in groups for one in group.growing]
        answers = [one for group in groups for one in group.ended]
        if not answers:
            answers = [replace(one, candidate=_cut_off(one.candidate)) for one in growing]
        unique: dict[Identity, TokenBeam] = {}
        for one in answers:
            unique.setdefault(one.candidate.identity, one)
        each = list(unique.values())
        weights = [math.exp(min(0.0, self._worth(one))) for one in each]
        best = max(range(len(each)), key=lambda place: self._worth(each[place]))
        considered = tuple(one.candidate for one in each)
        pruned = given_up([one.candidate for one in [*left, *growing]], considered)
        return Found(considered[best], considered, tuple(weights), pruned=pruned, notes=notes)

    def _worth(self, beam: TokenBeam) -> float:
        """The normalised log-probability without penalties, which would favour the first group."""
        return beam.candidate.log_probability / math.pow(max(1, len(beam.tokens)), self.length)


def _cut_off(candidate: Candidate) -> Candidate:
    return replace(candidate, finish="budget")

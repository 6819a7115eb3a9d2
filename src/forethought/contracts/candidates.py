"""What a search works on: answers in the making, what is added to them, and what may follow."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Literal

Path = tuple[int, ...]
"""Which child of which child: () is where a search starts."""
Writer = Literal["target", "draft"]


@dataclass(frozen=True)
class Candidate:
    """An answer in the making; a new one each time something is added."""

    path: Path = ()
    question: str = ""
    """What is asked, where that is not the run's own question."""
    asked: str = ""
    """The run's own question, its document in front, where this is to answer it; empty for what
    is written on the way to an answer, such as a critique of one."""
    steps: tuple[str, ...] = ()
    """What is written, in the pieces that were asked for."""
    lengths: tuple[int, ...] = ()
    """Tokens of each of these."""
    token_ids: tuple[int, ...] = ()
    """The same as tokens; empty where the back end does not tell."""
    tokens: int = 0
    """How many."""
    log_probability: float = 0.0
    """Of all tokens and of the end, by the model itself, whatever the temperature."""
    scored_tokens: int = 0
    """How many log-probabilities that is the sum of: the end has one too, where the back end tells
    it. 0 where nobody counted: then one for each token."""
    certainty: float | None = 0.0
    """Summed over the tokens: how far all that could have stood in a token's place was from being
    equally likely (the divergence from uniform to the model's own law, in nats). None where the
    back end does not tell."""
    finish: str = ""
    """Empty while more can be written; then stop, length, budget, or what withheld the rest."""
    writer: Writer = "target"
    """The model that writes it, and all that grows from it. Children of the empty candidate are
    counted together, whoever writes them, so that no two of them draw alike."""

    @property
    def text(self) -> str:
        """What is written."""
        return "".join(self.steps)

    @property
    def done(self) -> bool:
        """Whether nothing can be added."""
        return bool(self.finish)

    @property
    def whole(self) -> bool:
        """Whether it ended by itself, or at its greatest length."""
        return self.finish in ("stop", "length")

    @property
    def mean_log_probability(self) -> float:
        """A token's, on average, the end counted as one; 0 where nothing is written."""
        return self.log_probability / max(1, self.scored_tokens or self.tokens)

    @property
    def likelihood(self) -> float:
        """The mean probability of its tokens: from 0 to 1, unlike its logarithm."""
        # Rounding may leave a sum of log-probabilities just above 0.
        return math.exp(min(0.0, self.mean_log_probability))

    @property
    def identity(self) -> tuple[str, Path]:
        """Equal for two candidates of one run only if they are the same."""
        return self.question, self.path

    @property
    def first_child_tokens(self) -> int:
        """Tokens of its beginning that are first children of first children."""
        steps = takewhile(lambda step: step[0] == 0, zip(self.path, self.lengths, strict=False))
        return sum(length for _, length in steps)

    def grown(self, child: int, piece: Piece) -> Candidate:
        """The candidate's child of that number."""
        return replace(
            self,
            path=(*self.path, child),
            steps=(*shortened(self.steps, piece.back), piece.text),
            lengths=(*self.lengths, piece.tokens),
            token_ids=(*self.token_ids, *piece.token_ids),
            tokens=self.tokens + piece.tokens,
            log_probability=self.log_probability + piece.log_probability,
            scored_tokens=self.scored_tokens + piece.scored_tokens,
            certainty=total([self.certainty, piece.certainty]),
            finish="" if piece.finish == "step" else piece.finish,
        )


@dataclass(frozen=True)
class Piece:
    """What a back end wrote behind a candidate."""

    text: str
    token_ids: tuple[int, ...]
    tokens: int
    log_probability: float
    finish: str
    """step, stop, length where the request's tokens were used up, full where the model's context
    was, cancelled, or why a server withheld the rest: content_filter, refusal or tool_calls."""
    rest: str = ""
    """What the last token left beside part of a letter, should nothing follow."""
    certainty: float | None = None
    """As a candidate's, of these tokens alone."""
    scored_tokens: int = 0
    """As a candidate's: tokens whose log-probability is in the sum."""
    back: int = 0
    """Last letters of the candidate that it goes on from which are part of a stop string, and so
    of no text."""


def shortened(texts: Sequence[str], count: int) -> tuple[str, ...]:
    """The texts without the last `count` letters of all."""
    found = list(texts)
    for place in reversed(range(len(found))):
        left = len(found[place]) - count
        found[place], count = found[place][: max(0, left)], max(0, -left)
    return tuple(found)


def total(certainties: Iterable[float | None]) -> float | None:
    """Their sum; None where one is not known."""
    found = list(certainties)
    known = [one for one in found if one is not None]
    return math.fsum(known) if len(known) == len(found) else None


@dataclass(frozen=True)
class NextToken:
    """A token that may follow a candidate."""

    token: int
    """Its number: equal behind all candidates for the same token."""
    log_probability: float
    """By the model itself, whatever the temperature."""
    ends: bool = False
    """Whether the answer ends with it."""

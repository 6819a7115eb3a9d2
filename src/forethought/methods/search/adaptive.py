"""Ask the model whether a new attempt would be better, and sample again only then.

Paper: Adaptive Inference-Time Compute, arXiv:2410.02725
Published: ours (general name); Paper: the model is trained to judge itself, and the threshold is
    tuned. Here: the model is untrained; window=4, enough=0.9 and begin=64 are not tuned.
Exact: equals the greedy answer at n=1; best of n by the model's own verdicts at enough=none,
    begin=0 and annealed=false.
Cost: up to n answers, window after window. A verdict prefills one short turn after the cache of
    an answer; servers, which hold no such caches, prefill question and answer again.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from forethought.contracts.errors import BudgetSpentError
from forethought.contracts.parameters import Count, CountOrZero, Share
from forethought.contracts.search import (
    Ability,
    Ask,
    Candidate,
    Path,
    Search,
    Strategy,
    follow_up,
)
from forethought.methods.search._restarts import Restarts

_STARTING_OVER = 'Would you do better if you started over? ("Yes." or "No.")'


@dataclass(frozen=True)
class Adaptive(Strategy):
    """The answer that the model is least inclined to replace."""

    n: Count = 16
    """Most answers started."""
    enough: Share | None = 0.9
    """Stop once the model keeps an answer with this probability; none never stops."""
    window: Count = 4
    """Answers started at once."""
    begin: CountOrZero = 64
    """Tokens after which partial answers are judged and the worse given up; 0 for never."""
    keep: Share = 0.5
    """Share of a window's partial answers to continue, at least one; 1 gives up none."""
    annealed: bool = True
    """Sample windows at temperatures 0, 1/2, 3/4, ...; the first window is one answer."""

    revision: ClassVar[int] = 2

    @property
    def needs(self) -> frozenset[Ability]:
        """Verdicts, and steps if partial answers are judged."""
        return frozenset({"verdicts", "steps"} if self.begin else {"verdicts"})

    @property
    def follows_up(self) -> bool:
        """Always: finished answers are judged behind their own caches."""
        return True

    @property
    def most_answers(self) -> int:
        """n, if a good answer ends the search."""
        return 0 if self.enough is None else self.n

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Start a window, drop its worse answers, finish and judge the rest, until one is good."""
        limits = self.n, self.enough, self.window, self.begin, self.keep, self.annealed
        return (yield from Restarts(*limits).search(start, _Verdicts()))


@dataclass
class _Verdicts:
    """The model's verdicts on candidates, one question each."""

    chances: dict[Path, float] = field(default_factory=dict)
    spent: str = ""
    """The reason why verdicts stopped."""

    def hear(self, candidates: Sequence[Candidate]) -> Generator[Ask, Any, None]:
        """Request verdicts on new candidates, in one batch, while the budget covers it."""
        fresh = [one for one in candidates if one.path not in self.chances]
        if not fresh or self.spent:
            return
        try:
            heard = yield from follow_up(fresh, _STARTING_OVER, ("Yes", "No"))
        except BudgetSpentError as error:
            self.spent = error.message
            return
        self.chances |= {one.path: no for one, (_, no) in zip(fresh, heard, strict=True)}

    def knows(self, one: Candidate) -> bool:
        """Whether there is a verdict on a candidate."""
        return one.path in self.chances

    def of(self, one: Candidate) -> float:
        """The probability that the model keeps it; 0 without a verdict."""
        return self.chances.get(one.path, 0.0)

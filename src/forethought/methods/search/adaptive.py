"""Ask the model whether a new attempt would be better, and sample again only then.

Paper: Adaptive Inference-Time Compute, arXiv:2410.02725
Published: ours (general name); Paper: the model is trained to judge itself, and the threshold is
    tuned. Here: the model is untrained; window=4, enough=0.9 and begin=64 are not tuned.
Exact: equals the greedy answer at n=1; best of n by the model's own verdicts at enough=none,
    begin=0 and annealed=false.
Cost: up to n answers, window after window. A verdict prefills one short turn behind the cache of
    an answer; servers, which hold no such caches, prefill question and answer again.
"""

from __future__ import annotations

import math
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
    Found,
    Path,
    Search,
    Strategy,
    follow_up,
    group,
    write,
)
from forethought.methods.search._answers import budget_spent, leading, unjudged
from forethought.numerics.votes import Tally

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
        known = _Opinions()
        answers: list[Candidate] = []
        pruned: list[Candidate] = []
        drawn = windows = 0
        while drawn < self.n:
            few, temperature = self._next(drawn, windows)
            begun = yield from self._begun([start] * few, temperature)
            stay = yield from self._promising(begun, known)
            fresh = yield from write(stay, temperature=temperature)
            pruned += [one for one in begun if one not in stay]
            answers += fresh
            drawn, windows = drawn + few, windows + 1
            yield from known.hear([one for one in answers if one.whole])
            if (
                known.spent
                or budget_spent([*begun, *fresh])
                or known.one_stays(answers, self.enough)
            ):
                break
        if not any(one.path in known.chances for one in answers) and known.spent:
            return (yield from unjudged(answers, known.spent, pruned))
        worth = [known.of(one) for one in answers]
        groups = yield from group(answers)
        tally = Tally.of(groups, worth)
        best = leading(answers, worth)
        notes = (known.spent,) if known.spent else ()
        part = tally.part(best)
        return Found(answers[best], tuple(answers), tally.weights, part, tuple(pruned), notes)

    def _next(self, drawn: int, windows: int) -> tuple[int, float | None]:
        """The size and the temperature of the next window; None is the recipe's."""
        few = min(self.window, self.n - drawn)
        if not self.annealed:
            return few, None
        return (few if windows else 1), 1 - 2.0**-windows

    def _begun(
        self, starts: Sequence[Candidate], temperature: float | None
    ) -> Generator[Ask, Any, list[Candidate]]:
        """Partial answers to judge, or the starts themselves without `begin`."""
        if not self.begin:
            return list(starts)
        return (yield from write(starts, temperature=temperature, max_tokens=self.begin))

    def _promising(
        self, begun: Sequence[Candidate], known: _Opinions
    ) -> Generator[Ask, Any, list[Candidate]]:
        """The better share of the partial answers, in their order.

        All of them if the budget does not cover their verdicts.
        """
        most = max(1, math.ceil(self.keep * len(begun) - 1e-9))
        if not self.begin or most == len(begun) or budget_spent(begun):
            return list(begun)
        yield from known.hear(begun)
        if known.spent:
            return list(begun)
        ranked = sorted(begun, key=known.of, reverse=True)[:most]
        return [one for one in begun if one in ranked]


@dataclass
class _Opinions:
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

    def one_stays(self, answers: Sequence[Candidate], enough: float | None) -> bool:
        """Whether the model keeps an answer with that probability."""
        return enough is not None and max(map(self.of, answers)) >= enough

    def of(self, one: Candidate) -> float:
        """The probability that the model keeps it; 0 without a verdict."""
        return self.chances.get(one.path, 0.0)

"""Ask the model whether starting over would give a better answer, and start over only then.

Paper: Adaptive Inference-Time Compute, arXiv:2410.02725; the published model was trained to
    judge itself, others are less well calibrated
Exact: with n=1 it is the plain answer; with enough=none, begin=0 the best of n by the model's own
    judgement; with keep=1 nothing is given up half-way.
Cost: up to n answers, one window after another, and the reading of each for a verdict; with
    begin, most answers are given up after that many tokens.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

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
    group,
    verdicts,
    write,
)
from forethought.methods.search._answers import cut, leading, unjudged
from forethought.numerics.votes import Tally

_WHOLE = "Would you do better if you started over? Reply with Yes or No."
_BEGUN = "The answer is not finished yet. {}"


@dataclass(frozen=True)
class Adaptive(Strategy):
    """The answer that the model is least inclined to begin anew."""

    n: Count = 16
    """Answers begun, at most."""
    enough: Share | None = 0.9
    """Stop once the model would keep an answer with this chance; never where none."""
    window: Count = 1
    """Answers begun at once."""
    begin: CountOrZero = 0
    """Tokens after which beginnings are judged, and the worse ones given up; 0 for never."""
    keep: Share = 0.5
    """Share of a window's beginnings that are written on, one at least."""
    annealed: bool = False
    """Whether windows are drawn at temperatures 0, 1/2, 3/4 and so on, the first one answer."""

    @property
    def needs(self) -> frozenset[Ability]:
        """Verdicts; steps where beginnings are judged before they are written on."""
        return frozenset({"verdicts", "steps"} if self.begin else {"verdicts"})

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Begin a few, give up the worse, finish and judge the others; until one is good."""
        known = _Opinions(start)
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
            if known.spent or cut([*begun, *fresh]) or known.one_stays(answers, self.enough):
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
        """How many to begin, and at what temperature; None is the recipe's."""
        few = min(self.window, self.n - drawn)
        if not self.annealed:
            return few, None
        return (few if windows else 1), 1 - 2.0**-windows

    def _begun(
        self, starts: Sequence[Candidate], temperature: float | None
    ) -> Generator[Ask, Any, list[Candidate]]:
        """Beginnings to be judged, or what nothing was written behind yet."""
        if not self.begin:
            return list(starts)
        return (yield from write(starts, temperature=temperature, max_tokens=self.begin))

    def _promising(
        self, begun: Sequence[Candidate], known: _Opinions
    ) -> Generator[Ask, Any, list[Candidate]]:
        """The better share of beginnings, in their order; those that ended are among them.

        All of them where the budget does not cover judging them.
        """
        most = max(1, math.ceil(self.keep * len(begun) - 1e-9))
        if not self.begin or most == len(begun) or cut(begun):
            return list(begun)
        yield from known.hear(begun)
        if known.spent:
            return list(begun)
        ranked = sorted(begun, key=known.of, reverse=True)[:most]
        return [one for one in begun if one in ranked]


@dataclass
class _Opinions:
    """What the model thinks of candidates, each asked about once."""

    start: Candidate
    chances: dict[Path, float] = field(default_factory=dict)
    spent: str = ""
    """Why nobody is asked any more."""

    def hear(self, candidates: Sequence[Candidate]) -> Generator[Ask, Any, None]:
        """Ask about those that are new, all at once, while the budget covers it."""
        fresh = [one for one in candidates if one.path not in self.chances]
        if not fresh or self.spent:
            return
        asked = [_prompt(self.start.asked, one) for one in fresh]
        try:
            heard = yield from verdicts(asked, ("Yes", "No"))
        except BudgetSpentError as error:
            self.spent = error.message
            return
        self.chances |= {one.path: no for one, (_, no) in zip(fresh, heard, strict=True)}

    def one_stays(self, answers: Sequence[Candidate], enough: float | None) -> bool:
        """Whether an answer would be kept with that chance."""
        return enough is not None and max(map(self.of, answers)) >= enough

    def of(self, one: Candidate) -> float:
        """The chance that it would be kept; 0 where nobody asked."""
        return self.chances.get(one.path, 0.0)


def _prompt(question: str, one: Candidate) -> str:
    last = _WHOLE if one.done else _BEGUN.format(_WHOLE)
    return f"Question: {question}\n\nAnswer: {one.text.strip()}\n\n{last}"

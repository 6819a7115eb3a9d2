"""Windows of answers that start over until one of them is worth keeping."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from forethought.contracts.search import Ask, Candidate, Found, Search, group, write
from forethought.methods.search._answers import budget_spent, leading, unjudged
from forethought.numerics.votes import Tally


class Opinions(Protocol):
    """The probability of each candidate that starting over would be no better."""

    spent: str
    """The reason why no more opinions come; empty while they do."""

    def hear(self, candidates: Sequence[Candidate]) -> Generator[Ask, Any, None]:
        """Get opinions on new candidates, while the budget covers them."""
        ...

    def knows(self, one: Candidate) -> bool:
        """Whether there is an opinion on a candidate."""
        ...

    def of(self, one: Candidate) -> float:
        """The probability; 0 without an opinion."""
        ...


@dataclass(frozen=True)
class Restarts:
    """When to start answers, and when to stop; the fields are those of the strategies."""

    n: int
    enough: float | None
    window: int
    begin: int
    keep: float
    annealed: bool

    def search(self, start: Candidate, known: Opinions) -> Search:
        """Start a window, drop its worse answers, finish and judge the rest, until one is good."""
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
            if known.spent or budget_spent([*begun, *fresh]) or self._one_stays(answers, known):
                break
        if not any(map(known.knows, answers)) and known.spent:
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
        self, begun: Sequence[Candidate], known: Opinions
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

    def _one_stays(self, answers: Sequence[Candidate], known: Opinions) -> bool:
        """Whether an answer is kept with probability `enough`."""
        return self.enough is not None and max(map(known.of, answers)) >= self.enough

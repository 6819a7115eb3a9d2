"""Let the model write a checklist, then show it all answers at once and let it name the best.

Paper: When Life Gives You Samples, arXiv:2506.20544 (CHOPS, checklisted one-pass selection)
Published: ours (own name); Paper: prompts of its own. Here: the requests are in words of this
    project, and answers are shown in two orders.
Exact: equals the greedy answer at n=1.
Cost: n answers and a checklist; a prefill of all answers for every order.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Annotated, Any, ClassVar

import numpy as np

from forethought.contracts.errors import BudgetSpentError
from forethought.contracts.parameters import Count, Range, Whole
from forethought.contracts.search import (
    Ability,
    Ask,
    Candidate,
    Found,
    Search,
    Strategy,
    verdicts,
    write,
)
from forethought.methods.search._answers import budget_spent, leading, side_text
from forethought.methods.search._hedge import hedged

_NEEDED = """Here is a task:

{asked}

Write a short checklist of what a good answer to this task needs. Do not solve the task."""
_CHOICE = """Here is a task:

{asked}

What a good answer needs:
{checklist}

Here are {count} answers:

{answers}

Which answer is the best by the checklist? Reply with its letter alone."""


@dataclass(frozen=True)
class Checklist(Strategy):
    """Selection among free-form answers, by comparing them in one prompt."""

    n: Annotated[int, Whole(1, 26)] = 5
    """Answers, the greedy one included."""
    temperature: Annotated[float, Range(0, 10)] = 0.7
    """Temperature of all answers but the greedy one."""
    orders: Count = 2
    """Random orders in which the answers are shown, since models prefer the first."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"verdicts"})

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Write answers and checklist, show them, and take the answer of highest probability."""
        answers = yield from hedged(start, self.n, self.temperature)
        shown = _different(answers)
        if len(shown) < 2:
            return _found(answers, [0.0] * len(answers))
        (needed,) = yield from write(
            [side_text(_NEEDED.format(asked=start.asked))], temperature=0.0
        )
        if budget_spent([needed]):
            return _found(answers, [0.0] * len(answers), _told(0, self.orders))
        orders = [rng.permutation(len(shown)) for _ in range(self.orders)]
        pages = [
            _page(start.asked, needed.text, [answers[shown[place]] for place in order])
            for order in orders
        ]
        chances = yield from _named(pages, ascii_uppercase[: len(shown)])
        weights = [0.0] * len(answers)
        for order, row in zip(orders, chances, strict=False):
            for place, chance in zip(order, row, strict=True):
                weights[shown[place]] += chance / len(chances)
        return _found(answers, weights, _told(len(chances), self.orders))


def _named(
    pages: Sequence[str], letters: Sequence[str]
) -> Generator[Ask, Any, list[tuple[float, ...]]]:
    """The probabilities of each letter, for as many pages as the budget covers."""
    for most in range(len(pages), 0, -1):
        try:
            return (yield from verdicts(pages[:most], letters))
        except BudgetSpentError:
            continue
    return []


def _told(read: int, of: int) -> tuple[str, ...]:
    """A note if the budget covered fewer pages than asked for."""
    return () if read == of else (f"the budget covered {read} of {of} looks at the answers",)


def _different(answers: Sequence[Candidate]) -> list[int]:
    """The indices of finished answers with different texts."""
    found: dict[str, int] = {}
    for place, one in enumerate(answers):
        if one.whole:
            found.setdefault(one.text.strip(), place)
    return list(found.values())


def _page(asked: str, checklist: str, answers: Sequence[Candidate]) -> str:
    lettered = zip(ascii_uppercase, answers, strict=False)
    listed = [f"Answer {letter}:\n{one.text.strip()}" for letter, one in lettered]
    return _CHOICE.format(
        asked=asked,
        checklist=checklist.strip(),
        count=len(answers),
        answers="\n\n".join(listed),
    )


def _found(
    answers: Sequence[Candidate], weights: Sequence[float], notes: tuple[str, ...] = ()
) -> Found:
    """The answer of highest weight; ties go to the first, the greedy one."""
    best = answers[leading(answers, weights)]
    return Found(best, tuple(answers), tuple(weights), notes=notes)

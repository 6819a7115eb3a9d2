"""What strategies that compare whole answers have in common."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from typing import Any

from forethought.contracts.search import Ask, Candidate, Found, Search, group, score
from forethought.numerics.votes import Tally


def cut(written: Iterable[Candidate]) -> bool:
    """Whether the budget ended one of these: then it has nothing for others."""
    return any(one.finish == "budget" for one in written)


def leading(answers: Sequence[Candidate], worth: Sequence[float]) -> int:
    """The place of the whole answer that is worth most, of equal ones the first.

    Where none is whole, of the longest beginning.
    """
    places = range(len(answers))
    ended = [place for place in places if answers[place].whole]
    if ended:
        return max(ended, key=lambda place: worth[place])
    return max(places, key=lambda place: answers[place].tokens)


def elected(answers: Sequence[Candidate], tally: Tally, worth: Sequence[float]) -> int:
    """The place of the answer worth most, at least 0, of those that say what won the vote."""
    said = zip(tally.groups, worth, strict=True)
    return leading(answers, [one if group == tally.winner else -1.0 for group, one in said])


def unjudged(answers: Sequence[Candidate], note: str, pruned: Iterable[Candidate] = ()) -> Search:
    """What most answers say, where the budget covered the judging of none; the likeliest of it."""
    groups = yield from group(answers)
    tally = Tally.of(groups, [float(one.whole) for one in answers])
    best = elected(answers, tally, [one.likelihood for one in answers])
    part = tally.part(best)
    return Found(answers[best], tuple(answers), tally.weights, part, tuple(pruned), (note,))


def scored(answers: Sequence[Candidate]) -> Generator[Ask, Any, list[float]]:
    """The scorer's number for each that is whole; 0 for the others, which it is not shown."""
    ended = [one for one in answers if one.whole]
    numbers = iter((yield from score(ended)) if ended else ())
    return [next(numbers) if one.whole else 0.0 for one in answers]


def afresh(start: Candidate, prompt: str) -> Candidate:
    """An answer to the run's question that is asked for in other words."""
    return replace(start, question=prompt)


def aside(prompt: str) -> Candidate:
    """Something to be written on the way, which is no answer to the run's question."""
    return Candidate(question=prompt)

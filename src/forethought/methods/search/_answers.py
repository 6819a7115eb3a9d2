"""Functions shared by strategies that compare finished answers."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from typing import Any

from forethought.contracts.search import Ask, Candidate, Found, Search, group, score
from forethought.numerics.votes import Tally


def budget_spent(written: Iterable[Candidate]) -> bool:
    """Whether the budget cut one of these short, and so is spent."""
    return any(one.finish == "budget" for one in written)


def leading(answers: Sequence[Candidate], worth: Sequence[float]) -> int:
    """The index of the finished answer of highest worth; ties go to the first.

    Without a finished answer, the index of the longest partial one.
    """
    places = range(len(answers))
    ended = [place for place in places if answers[place].whole]
    if ended:
        return max(ended, key=lambda place: worth[place])
    return max(places, key=lambda place: answers[place].tokens)


def elected(answers: Sequence[Candidate], tally: Tally, worth: Sequence[float]) -> int:
    """The index of the answer of highest worth in the group that won the vote."""
    said = zip(tally.groups, worth, strict=True)
    return leading(answers, [one if group == tally.winner else -1.0 for group, one in said])


def unjudged(answers: Sequence[Candidate], note: str, pruned: Iterable[Candidate] = ()) -> Search:
    """The majority vote, if the budget covered no scores; its answer of highest likelihood."""
    groups = yield from group(answers)
    tally = Tally.of(groups, [float(one.whole) for one in answers])
    best = elected(answers, tally, [one.likelihood for one in answers])
    part = tally.part(best)
    return Found(answers[best], tuple(answers), tally.weights, part, tuple(pruned), (note,))


def scored(answers: Sequence[Candidate]) -> Generator[Ask, Any, list[float]]:
    """The score of each finished answer; 0 for partial ones, which the scorer does not see."""
    ended = [one for one in answers if one.whole]
    numbers = iter((yield from score(ended)) if ended else ())
    return [next(numbers) if one.whole else 0.0 for one in answers]


def reprompted(start: Candidate, prompt: str) -> Candidate:
    """A candidate that answers the run's question under another prompt."""
    return replace(start, question=prompt)


def side_text(prompt: str) -> Candidate:
    """A candidate for an intermediate text, such as a critique, that is no answer."""
    return Candidate(question=prompt)

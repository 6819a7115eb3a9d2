"""The choice of a stepwise search among its answers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from forethought.contracts.search import Candidate, Found, Path, Search, group
from forethought.numerics.votes import Tally


@dataclass(frozen=True)
class AnswerOption:
    """A candidate that may be the answer."""

    candidate: Candidate
    weight: float
    """Its weight in a vote or a draw, at least 0."""
    score: float
    """Its score, or that of the last partial answer before it."""

    @property
    def whole(self) -> bool:
        """Whether it is finished or at its token limit."""
        return self.candidate.whole


def chosen(
    options: Iterable[AnswerOption],
    pick: str,
    rng: np.random.Generator,
    *,
    pruned: Iterable[Candidate] = (),
    drawn: Candidate | None = None,
) -> Search:
    """Choose one option: by "vote" of the weights, the "best" score, or a "draw" by weight.

    Partial answers count only if no answer is finished. Ties go to the first. The weights of equal
    options add up. `drawn` is the result of a draw made before.
    """
    every = _merged(options)
    whole = [one for one in every if one.whole]
    if not whole:
        return _cut_short(every, pruned)
    answers = [one.candidate for one in whole]
    weights = _weights(whole)
    groups = yield from group(answers)
    tally = Tally.of(groups, weights)
    scores = [one.score for one in whole]
    match pick:
        case "draw":
            place = _drawn(answers, weights, rng, drawn)
        case "vote":
            place = tally.best(scores)
        case _:
            place = int(np.argmax(scores))
    left = [*pruned, *(one.candidate for one in every if not one.whole)]
    return Found(
        answers[place],
        tuple(answers),
        tuple(weights),
        tally.part(place) if len(whole) > 1 else None,
        given_up(left, answers),
    )


def _cut_short(options: Sequence[AnswerOption], pruned: Iterable[Candidate]) -> Found:
    """The best partial answer, if the budget left no finished one."""
    states = [replace(one.candidate, finish="budget") for one in options]
    places = range(len(options))
    best = max(places, key=lambda place: (options[place].score, states[place].tokens))
    weights = tuple(one.weight for one in options)
    return Found(states[best], tuple(states), weights, None, given_up(pruned, states))


def given_up(left: Iterable[Candidate], answers: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """The abandoned candidates without duplicates and without ancestors of answers."""
    within = {one.path[:size] for one in answers for size in range(len(one.path) + 1)}
    others = {one.identity: one for one in left if one.path not in within}
    return tuple(others.values())


def _merged(options: Iterable[AnswerOption]) -> list[AnswerOption]:
    merged: dict[tuple[str, Path], AnswerOption] = {}
    for one in options:
        known = merged.get(one.candidate.identity)
        weight = one.weight + (known.weight if known else 0.0)
        merged[one.candidate.identity] = replace(one, weight=weight)
    return list(merged.values())


def _weights(options: Sequence[AnswerOption]) -> list[float]:
    """The options' weights, or equal weights if all are 0."""
    weights = [one.weight for one in options]
    return weights if any(weights) else [1.0] * len(options)


def _drawn(
    answers: Sequence[Candidate],
    weights: Sequence[float],
    rng: np.random.Generator,
    drawn: Candidate | None,
) -> int:
    if drawn is not None:
        return [one.identity for one in answers].index(drawn.identity)
    return int(rng.choice(len(answers), p=np.array(weights) / math.fsum(weights)))

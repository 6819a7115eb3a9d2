"""What a stepwise search ends with: one answer of those that were written."""

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
    """What it counts for, at least 0."""
    score: float
    """What the scorer gave it, or the beginning of it that was scored last."""

    @property
    def whole(self) -> bool:
        """Whether it ended by itself, or at its greatest length."""
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

    Whole answers come first: the others are taken only where there is none. Of equal ones the
    first is taken. An option that stands here several times counts for the sum of its weights.
    `drawn` is the draw where that was made before.
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
    """The most promising beginning: only a spent budget leaves nothing but those."""
    states = [replace(one.candidate, finish="budget") for one in options]
    places = range(len(options))
    best = max(places, key=lambda place: (options[place].score, states[place].tokens))
    weights = tuple(one.weight for one in options)
    return Found(states[best], tuple(states), weights, None, given_up(pruned, states))


def given_up(left: Iterable[Candidate], answers: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Each of those left behind once, without those that an answer grew from."""
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
    """Theirs; equal ones where nothing that is left weighs anything."""
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

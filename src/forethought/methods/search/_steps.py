"""Steps of a search: sampled continuations with their scores."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Any

from forethought.contracts.search import Ask, Candidate, Until, score, write
from forethought.methods.search._choice import AnswerOption


def next_steps(
    parents: Sequence[AnswerOption],
    *,
    until: Until,
    delimiter: str,
    temperature: float | None = None,
) -> Generator[Ask, Any, list[AnswerOption]]:
    """One sampled step of each parent, with its score, which is also its weight."""
    states = yield from write(
        [one.candidate for one in parents],
        until=until,
        delimiter=delimiter,
        temperature=temperature,
    )
    return (yield from scored_children(parents, states))


def scored_children(
    parents: Sequence[AnswerOption], states: Sequence[Candidate]
) -> Generator[Ask, Any, list[AnswerOption]]:
    """A child of each parent with its score.

    A child that the budget cut short keeps its parent's score.
    """
    judged = [one for one in states if one.finish != "budget"]
    values = (yield from score(judged)) if judged else []
    known = dict(zip([one.identity for one in judged], values, strict=True))
    found = []
    for parent, state in zip(parents, states, strict=True):
        value = known.get(state.identity, parent.score)
        found.append(AnswerOption(state, value, value))
    return found


def start_option(start: Candidate) -> AnswerOption:
    """The start of a search, with score 0."""
    return AnswerOption(start, 0.0, 0.0)


def duplicates(drawn: Iterable[Candidate]) -> list[bool]:
    """For each candidate, whether an earlier one has the same text and is as finished."""
    seen: set[tuple[str, bool]] = set()
    found = []
    for one in drawn:
        said = (one.text, one.done)
        found.append(said in seen)
        seen.add(said)
    return found

"""What a step gives: candidates with the scores they were worth."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Any

from forethought.contracts.search import Ask, Candidate, Until, score, write
from forethought.methods.search._choice import AnswerOption


def stepped(
    parents: Sequence[AnswerOption], *, until: Until, delimiter: str
) -> Generator[Ask, Any, list[AnswerOption]]:
    """One more step of each, scored; a score is the weight too."""
    states = yield from write([one.candidate for one in parents], until=until, delimiter=delimiter)
    return (yield from valued(parents, states))


def valued(
    parents: Sequence[AnswerOption], states: Sequence[Candidate]
) -> Generator[Ask, Any, list[AnswerOption]]:
    """A child of each parent with its score.

    What the budget cut short is not worth a score: it keeps its parent's.
    """
    judged = [one for one in states if one.finish != "budget"]
    values = (yield from score(judged)) if judged else []
    known = dict(zip([one.identity for one in judged], values, strict=True))
    found = []
    for parent, state in zip(parents, states, strict=True):
        value = known.get(state.identity, parent.score)
        found.append(AnswerOption(state, value, value))
    return found


def beginning(start: Candidate) -> AnswerOption:
    """Where a search starts: worth nothing yet."""
    return AnswerOption(start, 0.0, 0.0)


def twins(drawn: Iterable[Candidate]) -> list[bool]:
    """Of each, whether one before it has the same text and has ended as it has."""
    seen: set[tuple[str, bool]] = set()
    found = []
    for one in drawn:
        said = (one.text, one.done)
        found.append(said in seen)
        seen.add(said)
    return found

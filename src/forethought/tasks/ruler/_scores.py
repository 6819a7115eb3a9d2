"""RULER's two metrics: references that occur in the answer."""

from __future__ import annotations

from forethought.contracts.questions import Question


def share_found(question: Question, answer: str) -> float:
    """The share of the references that occur in the answer, ignoring case."""
    return sum(_occurs(reference, answer) for reference in question.answers) / len(question.answers)


def any_found(question: Question, answer: str) -> float:
    """1 if a reference occurs in the answer, ignoring case, else 0."""
    return float(any(_occurs(reference, answer) for reference in question.answers))


def _occurs(reference: str, answer: str) -> bool:
    return reference.lower() in answer.lower()

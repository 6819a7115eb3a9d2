"""RULER's two ways of judging: by the references that stand in the answer."""

from __future__ import annotations

from forethought.contracts.questions import Question


def share_found(question: Question, answer: str) -> float:
    """The share of the references that stand in the answer, whatever their case."""
    return sum(_stands(reference, answer) for reference in question.answers) / len(question.answers)


def any_found(question: Question, answer: str) -> float:
    """1 if one of the references stands in the answer, whatever its case."""
    return float(any(_stands(reference, answer) for reference in question.answers))


def _stands(reference: str, answer: str) -> bool:
    return reference.lower() in answer.lower()

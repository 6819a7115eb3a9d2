"""Questions about a candidate that several scorers ask."""

from __future__ import annotations

from forethought.contracts.errors import UsageError
from forethought.contracts.names import method_name
from forethought.contracts.questions import Question, Task
from forethought.contracts.search import Candidate, Scorer


def asked(question: Question, candidate: Candidate) -> str:
    """The question that a candidate answers: the run's, with its document, or its own.

    A rewritten prompt, such as a request for a revision, is not shown.
    """
    return candidate.asked or candidate.question or question.asked


def rightness(task: Task, question: Question, candidate: Candidate) -> float:
    """The task's score of an answer, or of a partial answer.

    UsageError for a partial answer if the task cannot check steps.
    """
    judge = task.check if candidate.done else task.promise
    return judge(question, candidate.text)


def without_task(scorer: Scorer) -> UsageError:
    """The error for a question without a task."""
    return UsageError(
        f"{method_name(type(scorer))} asks a task whether an answer is right, and this question "
        "belongs to none",
        "ask a task's questions, or name a scorer that needs none; see: forethought list scorers",
    )

"""What several scorers need to know of a candidate."""

from __future__ import annotations

from forethought.contracts.errors import UsageError
from forethought.contracts.names import method_name
from forethought.contracts.questions import Question, Task
from forethought.contracts.search import Candidate, Scorer


def asked(question: Question, candidate: Candidate) -> str:
    """What a candidate answers: the run's question with its document in front, or its own.

    What an answer was asked for by in other words, such as to revise another, is not shown.
    """
    return candidate.asked or candidate.question or question.asked


def rightness(task: Task, question: Question, candidate: Candidate) -> float:
    """How right the task finds an answer, or a beginning while more can be written.

    UsageError for a beginning where the task's steps cannot be checked.
    """
    judge = task.check if candidate.done else task.promise
    return judge(question, candidate.text)


def without_task(scorer: Scorer) -> UsageError:
    """The error for a question that belongs to no task."""
    return UsageError(
        f"{method_name(type(scorer))} asks a task whether an answer is right, and this question "
        "belongs to none",
        "ask a task's questions, or name a scorer that needs none; see: forethought list scorers",
    )

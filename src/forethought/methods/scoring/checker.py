"""The task's own check: a scorer that is never wrong, for study.

Paper: Large Language Monkeys, arXiv:2407.21787 (coverage, the best that a scorer can reach)
Exact: the best of n by it is right wherever one of n is.
Cost: none; the task's check runs no model.
Example: forethought evaluate best-of-n@checker -t addition
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from forethought.contracts.questions import Question, Task
from forethought.contracts.search import Candidate, Scorer, Scores
from forethought.methods.scoring._asking import rightness, without_task


@dataclass(frozen=True)
class Checker(Scorer):
    """An answer's score is its points in the task; a beginning's, whether it can become right."""

    def on_task(self, task: Task | None) -> Scorer:
        """The scorer of this task; UsageError without one."""
        if task is None:
            raise without_task(self)
        return _OnTask(task)

    def score(self, question: Question, candidates: Sequence[Candidate]) -> Scores:
        """Raise UsageError: no task was named."""
        raise without_task(self)


@dataclass(frozen=True)
class _OnTask(Scorer):
    task: Task

    def score(self, question: Question, candidates: Sequence[Candidate]) -> Scores:
        yield from ()  # a scorer is a generator, even where it asks nothing
        return [rightness(self.task, question, one) for one in candidates]

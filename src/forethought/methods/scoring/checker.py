"""The task's own check: an oracle scorer, for study.

Paper: Large Language Monkeys, arXiv:2407.21787 (coverage, the upper bound of any scorer)
Published: baseline
Exact: best of n with it is right whenever one of n answers is right.
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
    """Scores an answer by its points in the task, a partial answer by whether it can be right."""

    def on_task(self, task: Task | None) -> Scorer:
        """The scorer of this task; UsageError without a task."""
        if task is None:
            raise without_task(self)
        return _OnTask(task)

    def score(self, question: Question, candidates: Sequence[Candidate]) -> Scores:
        """Raise UsageError: there is no task."""
        raise without_task(self)


@dataclass(frozen=True)
class _OnTask(Scorer):
    task: Task

    def score(self, question: Question, candidates: Sequence[Candidate]) -> Scores:
        yield from ()  # makes this a generator, as every scorer is
        return [rightness(self.task, question, one) for one in candidates]

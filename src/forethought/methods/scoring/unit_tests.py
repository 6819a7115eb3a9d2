"""Run the tests that a question shows: the share that a program passes.

Paper: Large Language Monkeys, arXiv:2407.21787 (unit tests as verifiers); the imperfect ones that
    are known before an answer is judged, Inference Scaling fLaws, arXiv:2411.17501
Exact: with tests=all the best of n is right wherever one of n is: an oracle, for study.
Cost: each program runs in the sandbox, once, and once for each test where it fails one; no model.
Example: forethought evaluate best-of-n@unit-tests -t 'humaneval(path="FILE.jsonl")'
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from forethought.contracts.errors import UsageError
from forethought.contracts.names import method_name
from forethought.contracts.questions import Question, Task, Tests
from forethought.contracts.search import Candidate, Scorer, Scores
from forethought.methods.scoring._asking import without_task


@dataclass(frozen=True)
class UnitTests(Scorer):
    """The share of tests passed; where a question shows none, 1 for a program that loads."""

    tests: Literal["visible", "all"] = "visible"
    """Those that the question shows, such as its docstring's examples; or all, the hidden ones by
    which the task judges: no one has those outside of a study."""

    def on_task(self, task: Task | None) -> Scorer:
        """The scorer of this task; UsageError without one, or without programs to be run."""
        if task is None:
            raise without_task(self)
        if not task.has_tests:
            raise UsageError(
                f"{method_name(type(self))} runs programs, and this task asks for none",
                "name another scorer, or a task of programs such as humaneval",
            )
        return _OnTask(self.tests, task)

    def score(self, question: Question, candidates: Sequence[Candidate]) -> Scores:
        """Raise UsageError: no task was named."""
        raise without_task(self)


@dataclass(frozen=True)
class _OnTask(Scorer):
    tests: Tests
    task: Task

    def score(self, question: Question, candidates: Sequence[Candidate]) -> Scores:
        yield from ()  # a scorer is a generator, even where it asks nothing
        if any(not one.done for one in candidates):
            raise UsageError(
                f"{method_name(type(self))} cannot run a program that is not finished yet",
                "use a strategy that scores whole answers, such as best-of-n",
            )
        # The same program passes the same tests.
        texts = dict.fromkeys(one.text for one in candidates)
        shares = {text: self.task.passed(question, text, self.tests) for text in texts}
        return [shares[one.text] for one in candidates]

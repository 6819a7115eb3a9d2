"""Run the tests that a question shows, and score a program by the share it passes.

Paper: Large Language Monkeys, arXiv:2407.21787 (unit tests as verifiers); Inference Scaling fLaws,
    arXiv:2411.17501 (imperfect tests)
Published: baseline
Exact: with tests=all, best of n is right whenever one of n answers is right: an oracle, for study.
Cost: one run of each program in the sandbox, and one per test if a test fails; no model.
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
    """The share of tests passed; 1 for any program that loads if the question shows no test."""

    tests: Literal["visible", "all"] = "visible"
    """Tests in the question, such as its docstring's examples, or all tests of the task.
    Outside of a study, only the visible tests are known."""

    def on_task(self, task: Task | None) -> Scorer:
        """The scorer of this task; UsageError without a task whose answers are programs."""
        if task is None:
            raise without_task(self)
        if not task.has_tests:
            raise UsageError(
                f"{method_name(type(self))} runs programs, and this task asks for none",
                "name another scorer, or a task of programs such as humaneval",
            )
        return _OnTask(self.tests, task)

    def score(self, question: Question, candidates: Sequence[Candidate]) -> Scores:
        """Raise UsageError: there is no task."""
        raise without_task(self)


@dataclass(frozen=True)
class _OnTask(Scorer):
    tests: Tests
    task: Task

    def score(self, question: Question, candidates: Sequence[Candidate]) -> Scores:
        yield from ()  # makes this a generator, as every scorer is
        if any(not one.done for one in candidates):
            raise UsageError(
                f"{method_name(type(self))} cannot run a program that is not finished yet",
                "use a strategy that scores whole answers, such as best-of-n",
            )
        # Equal programs run once.
        texts = dict.fromkeys(one.text for one in candidates)
        shares = {text: self.task.passed(question, text, self.tests) for text in texts}
        return [shares[one.text] for one in candidates]

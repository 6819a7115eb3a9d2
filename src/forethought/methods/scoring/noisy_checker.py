"""The task's check with errors put in: what a search is worth behind an imperfect verifier.

Paper: Inference Scaling fLaws, arXiv:2411.17501
Exact: with both rates at 0 it is the checker.
Cost: none; the task's check runs no model.
Example: forethought evaluate 'best-of-n@noisy-checker' -t addition
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from forethought.contracts.parameters import CountOrZero, Share
from forethought.contracts.questions import Question, Task
from forethought.contracts.search import Candidate, Scorer, Scores
from forethought.methods.scoring._asking import rightness, without_task


@dataclass(frozen=True)
class NoisyChecker(Scorer):
    """The checker, whose verdict is turned round at given rates: v becomes 1 - v.

    Whether one is turned round depends on the question, the candidate and the seed alone,
    not on what else is scored or when.
    """

    false_positive: Share = 0.1
    """How often something wrong (below a half) is passed: 1 - soundness."""
    false_negative: Share = 0.0
    """How often something right is failed: 1 - completeness."""
    seed: CountOrZero = 0
    """Other seeds make other errors."""

    def on_task(self, task: Task | None) -> Scorer:
        """The scorer of this task; UsageError without one."""
        if task is None:
            raise without_task(self)
        return _OnTask(self, task)

    def score(self, question: Question, candidates: Sequence[Candidate]) -> Scores:
        """Raise UsageError: no task was named."""
        raise without_task(self)


@dataclass(frozen=True)
class _OnTask(Scorer):
    noise: NoisyChecker
    task: Task

    def score(self, question: Question, candidates: Sequence[Candidate]) -> Scores:
        yield from ()  # a scorer is a generator, even where it asks nothing
        return [self._heard(question, one) for one in candidates]

    def _heard(self, question: Question, candidate: Candidate) -> float:
        true = rightness(self.task, question, candidate)
        rate = self.noise.false_positive if true < 0.5 else self.noise.false_negative
        return 1.0 - true if _uniform(self.noise.seed, question, candidate) < rate else true


def _uniform(seed: int, question: Question, candidate: Candidate) -> float:
    """A number from 0 up to, not including, 1.

    The text counts too: candidates of other runs have the same paths.
    """
    named = repr((seed, question.identifier, candidate.identity, candidate.text))
    digest = hashlib.sha256(named.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:6]) / (1 << 48)

"""The task's check with random errors: the effect of an imperfect verifier on a search.

Paper: Inference Scaling fLaws, arXiv:2411.17501
Published: ours; independent errors for each answer.
Exact: equals checker when both rates are 0.
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
    """The checker with verdicts flipped at given rates: v becomes 1 - v.

    The flip depends on the question, the candidate and the seed alone, not on other candidates.
    """

    false_positive: Share = 0.1
    """Share of wrong answers (below 0.5) that pass: 1 - soundness."""
    false_negative: Share = 0.0
    """Share of right answers that fail: 1 - completeness."""
    seed: CountOrZero = 0
    """Random seed of the errors."""

    def on_task(self, task: Task | None) -> Scorer:
        """The scorer of this task; UsageError without a task."""
        if task is None:
            raise without_task(self)
        return _OnTask(self, task)

    def score(self, question: Question, candidates: Sequence[Candidate]) -> Scores:
        """Raise UsageError: there is no task."""
        raise without_task(self)


@dataclass(frozen=True)
class _OnTask(Scorer):
    noise: NoisyChecker
    task: Task

    def score(self, question: Question, candidates: Sequence[Candidate]) -> Scores:
        yield from ()  # makes this a generator, as every scorer is
        return [self._verdict(question, one) for one in candidates]

    def _verdict(self, question: Question, candidate: Candidate) -> float:
        true = rightness(self.task, question, candidate)
        rate = self.noise.false_positive if true < 0.5 else self.noise.false_negative
        return 1.0 - true if _uniform(self.noise.seed, question, candidate) < rate else true


def _uniform(seed: int, question: Question, candidate: Candidate) -> float:
    """A number in [0, 1), fixed by its arguments.

    The text is hashed too, since candidates of different runs share paths.
    """
    named = repr((seed, question.identifier, candidate.identity, candidate.text))
    digest = hashlib.sha256(named.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:6]) / (1 << 48)

"""The task's check with consistent errors: the effect of an imperfect verifier on a search.

Paper: Inference Scaling fLaws, arXiv:2411.17501; errors as an incomplete test suite makes them,
    at stated rates
Published: ours (own name); simulated errors at stated rates, consistent as those of a test suite.
Exact: equals checker when both rates are 0.
Cost: none; the task's check runs no model.
Example: forethought evaluate 'best-of-n@noisy-checker' -t addition
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from forethought.contracts.errors import UsageError
from forethought.contracts.parameters import CountOrZero, Share
from forethought.contracts.questions import Question, Task
from forethought.contracts.search import Candidate, Scorer, Scores
from forethought.methods.scoring._asking import rightness, without_task


@dataclass(frozen=True)
class NoisyChecker(Scorer):
    """The checker with verdicts flipped at given rates: v becomes 1 - v.

    Equal answers to a question get equal verdicts, as do all answers that continue one wrong
    beginning. The errors depend on the seed alone, not on the run or on other candidates.
    """

    false_positive: Share = 0.1
    """Share of wrong answers (below 0.5) that pass: 1 - soundness."""
    false_negative: Share = 0.0
    """Share of right answers that fail: 1 - completeness."""
    seed: CountOrZero = 0
    """Random seed of the errors."""

    revision: ClassVar[int] = 2

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
        if true < 0.5:
            rate, judged = self.noise.false_positive, self._first_wrong(question, candidate)
        else:
            rate, judged = self.noise.false_negative, self._stated(candidate)
        return 1.0 - true if _uniform(self.noise.seed, question, judged) < rate else true

    def _stated(self, candidate: Candidate) -> str:
        return self.task.stated(candidate.text) if candidate.done else _words(candidate.text)

    def _first_wrong(self, question: Question, candidate: Candidate) -> str:
        """The shortest beginning that cannot become right; the answer if there is none."""
        text = candidate.text
        if not self._is_wrong(question, text):
            return self._stated(candidate)
        ends = [*(at for at, sign in enumerate(text, start=1) if sign == "\n"), len(text)]
        stop = next(end for end in ends if self._is_wrong(question, text[:end]))
        begin = text.rfind("\n", 0, stop - 1) + 1
        beginnings = (text[:end] for end in range(begin, stop + 1))
        return _words(next(one for one in beginnings if self._is_wrong(question, one)))

    def _is_wrong(self, question: Question, beginning: str) -> bool:
        """Whether a beginning cannot become right; False if the task cannot check steps."""
        try:
            return self.task.promise(question, beginning) < 0.5
        except UsageError:
            return False


def _words(text: str) -> str:
    return " ".join(text.split())


def _uniform(seed: int, question: Question, judged: str) -> float:
    """A number in [0, 1), fixed by its arguments."""
    named = repr((seed, question.identifier, judged))
    digest = hashlib.sha256(named.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:6]) / (1 << 48)

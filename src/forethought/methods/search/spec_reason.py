"""Speculative reasoning: the draft writes steps, and the target grades or rewrites each of them.

Paper: SpecReason, arXiv:2504.07891
Published: code; ruipeterpan/specreason, defaults. Code: top-p 0.95, a chain ends at an answer's
    mark or a repeated step, and other words in the question. Here: the recipe's top-p, a chain ends
    where its writer ends it, and words of this project.
Exact: equals the draft's plain sample at theta=0, and the target's at theta above 9.
Cost: all steps by the draft; the target prefills each of them and a question, and decodes those
    that it rejects.
Example: forethought "A pen costs 3 dollars. What do 14 pens cost?" -m qwen-coder-1.5b
    -d qwen-coder-0.5b -s spec-reason
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from forethought.contracts.errors import BudgetSpentError
from forethought.contracts.parameters import Count, CountOrZero, Delimiter, Range
from forethought.contracts.search import (
    Ability,
    Ask,
    Candidate,
    Found,
    Search,
    Strategy,
    adopt,
    follow_up,
    write,
)

DIGITS = tuple("0123456789")
HIGHEST = 9
"""The highest grade."""
_QUESTION = """Grade the last step of your answer so far with a digit from 0 (wrong) to 9 (right). \
Judge alone whether the step is true and follows from the steps before it, and neither its style \
nor its length."""
_REPLY = "The grade of the last step is: "


@dataclass
class _Chain:
    """The accepted steps, as a candidate of each model, and those that were rejected."""

    target: Candidate
    draft: Candidate
    newest: Candidate
    """The candidate that holds all accepted steps."""
    drafted: int = 0
    """Steps of the draft that were accepted."""
    steps: int = 0
    grades: list[float] = field(default_factory=list)
    rejected: list[Candidate] = field(default_factory=list)
    unread: list[Candidate] = field(default_factory=list)
    """The target's steps that the draft has not read."""

    def found(self, note: str = "") -> Found:
        """The chain as the answer."""
        notes = [f"{self.drafted} of {self.steps} steps by the draft"]
        if self.grades:
            notes.append("grades of the draft's steps: " + " ".join(f"{g:g}" for g in self.grades))
        told = (*notes, *([note] if note else []))
        # A rejected step is better than none.
        *worse, best = (*self.rejected, self.newest)
        if worse and not best.text:
            best = worse.pop()
        return Found(best, (best,), (1.0,), pruned=tuple(worse), notes=told)


@dataclass(frozen=True)
class SpecReason(Strategy):
    """A chain of steps by two models."""

    theta: Annotated[float, Range(0, 10)] = 7.0
    """Accept a drafted step from this grade: all at 0, without grading; none above 9."""
    judge: Literal["greedy", "average"] = "greedy"
    """The grade: the target's most probable token, or the mean over the digits."""
    first: CountOrZero = 0
    """Steps at the beginning that the target writes."""
    step_tokens: Count = 512
    """Most tokens of a step."""
    temperature: Annotated[float, Range(0, 10)] | None = 0.6
    """Sampling temperature of the steps; none for the recipe's."""
    delimiter: Delimiter = "\n\n"
    """Text that ends a step."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"draft", "steps", "verdicts"})

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Draft, grade and rewrite steps until the answer ends."""
        chain = _Chain(start, replace(start, writer="draft"), start)
        try:
            while not chain.newest.done:
                accepted = self._drafts(chain) and (yield from self._draft(chain))
                if not accepted:
                    yield from self._rewrite(chain)
        except BudgetSpentError as error:
            return chain.found(error.message)
        return chain.found()

    def _drafts(self, chain: _Chain) -> bool:
        """Whether the draft proposes the next step."""
        return self.theta <= HIGHEST and chain.steps >= self.first

    def _draft(self, chain: _Chain) -> Generator[Ask, Any, bool]:
        """Draft a step; whether it is accepted. A step that the budget leaves ungraded is."""
        while chain.unread:
            chain.draft = yield from adopt(chain.draft, chain.unread[0])
            del chain.unread[0]
        drafted = yield from self._step(chain.draft)
        chain.newest, before = drafted, chain.newest
        if self.theta > 0 and drafted.finish != "budget":
            target = yield from adopt(chain.target, drafted)
            (chances,) = yield from follow_up(
                [target], _QUESTION, DIGITS, reply=_REPLY, rule=self._rule
            )
            chain.grades.append(grade(chances))
            if chain.grades[-1] < self.theta:
                chain.newest = before
                chain.rejected.append(drafted)
                return False
            chain.target = chain.newest = target
        chain.draft = drafted
        chain.steps, chain.drafted = chain.steps + 1, chain.drafted + 1
        return True

    def _rewrite(self, chain: _Chain) -> Generator[Ask, Any, None]:
        """Have the target write a step, which the draft reads before its next one."""
        chain.target = chain.newest = yield from self._step(chain.target)
        chain.unread.append(chain.target)
        chain.steps += 1

    def _step(self, parent: Candidate) -> Generator[Ask, Any, Candidate]:
        """A step of the parent's writer."""
        (found,) = yield from write(
            [parent],
            until="step",
            delimiter=self.delimiter,
            temperature=self.temperature,
            max_tokens=self.step_tokens,
        )
        return found

    @property
    def _rule(self) -> Literal["greedy", "token"]:
        return "greedy" if self.judge == "greedy" else "token"


def grade(chances: Sequence[float]) -> float:
    """The mean digit by these probabilities; 0 if no digit has any.

    For a greedy judge, all probability is at one digit or at none.
    """
    total = sum(chances)
    if not total:
        return 0.0
    return sum(digit * chance for digit, chance in enumerate(chances)) / total

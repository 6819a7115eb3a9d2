"""Hogwild: workers write one answer at the same time and read each other's tokens at once.

Paper: Hogwild! Inference, arXiv:2504.06261
Published: code; eqimp/hogwild_llm, two workers, combined layout. Code: other words in the prompts,
    optional worked examples, and the tag that ends the reasoning is forbidden. Here: words of this
    project, no examples, and end tokens and "#" are forbidden.
Exact: equals one plain sample at workers=1.
Cost: one pass over the weights for a token of every worker; all workers share the maximum of
    tokens, and the end of an answer without a result is prefilled anew.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from forethought.contracts.errors import BudgetSpentError
from forethought.contracts.parameters import CountOrZero, Whole
from forethought.contracts.search import (
    Ability,
    Ask,
    Candidate,
    Found,
    Search,
    Strategy,
    WorkerPlan,
    adopt,
    write,
)
from forethought.methods.search._answers import reprompted

NAMES = ("Alice", "Bob", "Carol", "Dave", "Erin", "Frank", "Grace", "Heidi")
BOX = "boxed{"
_SENTENCE_ENDS = ".?!\u2026\u3002\uff1f\uff01\u0964\u061f"
_FINISH = "\n\nThe time is over, so here is the final answer:\n\n\\boxed{"
_RULES = """{asked}

{names} solve this problem together, at the same time. Each of them sees what the others write \
while they write it: first the finished steps of all of them, then what the others are writing.

- Agree on a plan first: split the work, or try different ways.
- Read what the others wrote before each step, use it, and point out their mistakes.
- Keep steps short: a paragraph each, with a blank line after it.
- If another one does the same work, stop and do something else.
- As soon as the answer is known, anybody writes it as \\boxed{{answer}}."""
_OTHERS = "\n\n### What the others are writing\n\n"
_OWN = "\n\n### What I am writing\n\n"
_QUESTION = "Quick check: do I repeat the work of others? (yes or no) "


@dataclass(frozen=True)
class Hogwild(Strategy):
    """One answer by several workers."""

    workers: Annotated[int, Whole(1, len(NAMES))] = 2
    """Workers that write at the same time."""
    layout: Literal["contiguous", "interleaved", "combined"] = "combined"
    """What a worker sees of the others: unfinished text, finished steps, or both."""
    check: CountOrZero = 256
    """Tokens of a worker between questions whether it repeats others; 0 for none."""
    finisher: CountOrZero = 16
    """Greedy tokens that end an answer without a result; 0 for none."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"workers"})

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Have the workers write, and complete their answer if it has no result."""
        if self.workers == 1:
            (only,) = yield from write([start], plan=WorkerPlan())
            return Found(only, (only,), (1.0,))
        names = " and ".join(NAMES[: self.workers])
        together = reprompted(start, _RULES.format(asked=start.asked, names=names))
        (written,) = yield from write([together], plan=self.plan)
        if not written.scored_tokens:  # the budget left no token: the plan's text is no answer
            written = replace(written, steps=("",), lengths=(written.tokens,))
        steps = f"{written.scored_tokens // self.workers} tokens in sequence per worker"
        try:
            best, note = yield from self._finished(together, written)
        except BudgetSpentError as error:
            best, note = written, error.message
        other = () if best is written else (written,)
        return Found(best, (best,), (1.0,), pruned=other, notes=(steps, *([note] if note else [])))

    @property
    def plan(self) -> WorkerPlan:
        """The texts of the workers."""
        names = NAMES[: self.workers]
        return WorkerPlan(
            openings=tuple(f"**{name} [1]:** Hi, I am {name}." for name in names),
            prefixes=tuple(f"**{name} [{{step}}]:** " for name in names),
            layout=self.layout,
            sentence_ends=_SENTENCE_ENDS,
            others=_OTHERS,
            own=_OWN,
            question=_QUESTION,
            interval=self.check,
            answered=BOX,
            forbidden=("#",),
            ending=_FINISH if self.finisher else "",
            reserve=self.finisher,
        )

    def _finished(
        self, together: Candidate, written: Candidate
    ) -> Generator[Ask, Any, tuple[Candidate, str]]:
        """The answer with a result, and how it came by it."""
        if not self.finisher or written.finish == "budget" or BOX in written.text:
            return written, ""
        read = yield from adopt(together, replace(written, finish=""))
        asked = replace(read, steps=(*read.steps, _FINISH), lengths=(*read.lengths, 0))
        whole = yield from adopt(read, asked)
        (ended,) = yield from write([whole], temperature=0.0, max_tokens=self.finisher)
        note = "no worker gave a result, so the answer was completed"
        return (ended if ended.done else replace(ended, finish="length")), note

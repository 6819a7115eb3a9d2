"""Answer, and try again with a hint while the score is too low.

Paper: Inference-Time Scaling for Complex Tasks, arXiv:2504.00294 (sequential scaling with
    feedback); with the checker, its results are an upper bound
Published: ours (general name); Paper: prompts of its own. Here: the requests are in words of this
    project.
Exact: equals one plain sample at n=1; with an oracle scorer, more attempts are never worse.
Cost: attempts and hints in sequence; each prefills all attempts before it.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from forethought.contracts.parameters import Count, Share
from forethought.contracts.search import Ask, Candidate, Found, Search, Strategy, group, write
from forethought.methods.search._answers import budget_spent, leading, reprompted, scored, side_text
from forethought.numerics.votes import Tally

_HINT = """Here is a task:

{asked}

A student gave these answers, and none of them is right:

{attempts}

Think about what mistake the student is likely to have made. Then give a hint that helps to find \
it. Do not give the solution."""
_AGAIN = """{asked}

These answers were given before, and none of them is right:

{attempts}
{hint}
Try again."""


@dataclass(frozen=True)
class SequentialRevision(Strategy):
    """The attempt of highest score; ties go to the first."""

    n: Count = 3
    """Most attempts."""
    enough: Share = 1.0
    """Stop once an attempt has this score."""
    hints: bool = True
    """Ask the model for a hint before each new attempt."""

    scores: ClassVar[bool] = True

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Answer, score and hint, until an attempt is good enough."""
        attempts = yield from write([start])
        scores = yield from scored(attempts)
        while len(attempts) < self.n and scores[-1] < self.enough and not budget_spent(attempts):
            hint = yield from self._hint(start, attempts)
            if hint is None:
                break
            again = _AGAIN.format(asked=start.asked, attempts=_listed(attempts), hint=hint)
            fresh = yield from write([reprompted(start, again)])
            scores += yield from scored(fresh)
            attempts += fresh
        groups = yield from group(attempts)
        tally = Tally.of(groups, scores)
        best = leading(attempts, scores)
        return Found(attempts[best], tuple(attempts), tuple(scores), tally.part(best))

    def _hint(
        self, start: Candidate, attempts: Sequence[Candidate]
    ) -> Generator[Ask, Any, str | None]:
        """The hint before the next attempt; None if the budget is spent."""
        if not self.hints:
            return ""
        prompt = _HINT.format(asked=start.asked, attempts=_listed(attempts))
        (hint,) = yield from write([side_text(prompt)])
        return None if budget_spent([hint]) else f"\nA hint: {hint.text.strip()}\n"


def _listed(attempts: Sequence[Candidate]) -> str:
    return "\n\n".join(
        f"Attempt {number}:\n{one.text.strip()}" for number, one in enumerate(attempts, 1)
    )

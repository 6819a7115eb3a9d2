"""Let the model criticise and revise its answer until it finds no mistake.

Paper: Self-Refine, arXiv:2303.17651; Bag of Tricks, arXiv:2502.07191 (its defaults)
Published: ours (general name); Paper: prompts of its own. Here: the requests are in words of this
    project, and a probability ends the rounds.
Exact: equals one plain sample at rounds=0.
Cost: a critique, a verdict and a revision per round, in sequence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from forethought.contracts.errors import BudgetSpentError
from forethought.contracts.parameters import CountOrZero, Share
from forethought.contracts.search import (
    Ability,
    Candidate,
    Found,
    Search,
    Strategy,
    verdicts,
    write,
)
from forethought.methods.search._answers import budget_spent, reprompted, side_text

_CRITIQUE = """Here is a task:

{asked}

An answer to it:
{answer}

Point out every mistake in this answer, step by step. If there is none, say so."""
_WRONG = """Here is what a reader wrote about an answer:

{critique}

Does the reader find a mistake in the answer? Reply with Yes or No."""
_REVISE = """{asked}

This answer was given before:
{answer}

A reader said of it:
{critique}

Write the answer anew, without the mistakes. Give the answer alone."""


@dataclass(frozen=True)
class SelfRefine(Strategy):
    """The newest finished revision."""

    rounds: CountOrZero = 3
    """Most revisions."""
    doubt: Share = 0.5
    """Revise if the critique finds a mistake with at least this probability."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"verdicts"})

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Answer, criticise and revise."""
        answers = yield from write([start])
        notes: tuple[str, ...] = ()
        for _ in range(self.rounds):
            said = {"asked": start.asked, "answer": answers[-1].text.strip()}
            if budget_spent(answers) or not answers[-1].text.strip():
                break
            (critique,) = yield from write([side_text(_CRITIQUE.format(**said))])
            if budget_spent([critique]):
                break
            said["critique"] = critique.text.strip()
            page = _WRONG.format(critique=said["critique"])
            try:
                ((wrong, _),) = yield from verdicts([page], ("Yes", "No"))
            except BudgetSpentError as error:
                notes = (error.message,)
                break
            if wrong < self.doubt:
                break
            answers += yield from write([reprompted(start, _REVISE.format(**said))])
        ended = [one for one in answers if one.whole and one.text.strip()]
        best = ended[-1] if ended else answers[0]
        weights = tuple(float(one is best) for one in answers)
        return Found(best, tuple(answers), weights, notes=notes)

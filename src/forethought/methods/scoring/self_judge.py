"""The answering model gives the probability that the answer is right.

Paper: Language Models (Mostly) Know What They Know, arXiv:2207.05221 (P(True));
    Adaptive Inference-Time Compute, arXiv:2410.02725
Published: ours (general name); Paper: prompts of its own. Here: the request is in words of this
    project.
Exact: never; models without training for it are often sure of wrong answers.
Cost: the model prefills each candidate again, with its question, and decodes one token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from forethought.contracts.questions import Question
from forethought.contracts.search import Ability, Candidate, Scorer, Scores, verdicts
from forethought.methods.scoring._asking import asked

_WHOLE = "Is this answer right? Reply with Yes or No."
_BEGUN = "The answer is not finished yet. Is it right so far? Reply with Yes or No."


@dataclass(frozen=True)
class SelfJudge(Scorer):
    """The probability of "Yes" against "No" to the question whether an answer is right."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"verdicts"})

    def score(self, question: Question, candidates: Sequence[Candidate]) -> Scores:
        """The probability of "Yes" for each candidate, from one batch."""
        if not candidates:
            return []
        prompts = [_prompt(asked(question, one), one) for one in candidates]
        chances = yield from verdicts(prompts, ("Yes", "No"))
        return [yes for yes, _ in chances]


def _prompt(question: str, candidate: Candidate) -> str:
    last = _WHOLE if candidate.done else _BEGUN
    return f"Question: {question}\n\nAnswer: {candidate.text.strip()}\n\n{last}"

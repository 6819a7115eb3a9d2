"""How little the model changes its mind once it is shown its own answer as another expert's.

Paper: Experts Don't Cheat, arXiv:2402.08733 (epistemic confidence p1/p2)
Published: ours (own name); Paper: the model is trained on pairs of answers. Here: the model is
    untrained, and p1 and p2 are the mean token probabilities of the stated answer without and with
    the pair.
Exact: 1 if the shown answer changes nothing; 0 if the model gives the answer only when shown it.
    Untrained models copy what they read, which lowers the value.
Cost: two prefills of the question with the stated answer; nothing is decoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from forethought.contracts.questions import Question
from forethought.contracts.search import Ability, Candidate, Estimate, state, verdicts
from forethought.methods.confidence._confidence import Confidence

_REQUEST = "Reply with the final answer alone, without an explanation."


@dataclass(frozen=True)
class PairPrediction(Confidence):
    """The ratio of the answer's probabilities before and after the model sees it."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"verdicts"})

    def confidence(
        self, question: Question, answer: Candidate, samples: Sequence[Candidate]
    ) -> Estimate:
        """Score the stated answer alone and as the second of a pair."""
        (stated,) = yield from state([answer])
        if not stated:
            return None
        alone = f"Question: {question.asked}\n\n{_REQUEST}"
        paired = f"Question: {question.asked}\n\nAnother expert replied: {stated}\n\n{_REQUEST}"
        ((first,),) = yield from verdicts([alone], (stated,), rule="text")
        ((second,),) = yield from verdicts([paired], (stated,), rule="text")
        return epistemic_confidence(first, second)


def epistemic_confidence(probability: float, again: float) -> float:
    """p1 / p2, at most 1; 0 for an answer without probability.

    p1 is the answer's probability as the first of a pair, p2 that of the same answer as the second.
    """
    if probability <= 0:
        return 0.0
    return min(1.0, probability / again) if again > 0 else 1.0

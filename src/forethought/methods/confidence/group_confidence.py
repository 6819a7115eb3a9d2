"""The confidence of an answer's least sure stretch of tokens.

Paper: Deep Think with Confidence, arXiv:2508.15260 (trace measures)
Published: code; facebookresearch/deepconf, mapped to a number from 0 to 1 in the same order.
Exact: c / (1 + c), where c is the measure over the mean negative log-probabilities of the 20
    likeliest tokens in each place.
Cost: none beyond the 20 likeliest log-probabilities of each decoded token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from forethought.contracts.errors import UsageError
from forethought.contracts.parameters import Count
from forethought.contracts.questions import Question
from forethought.contracts.search import Ability, Candidate, Estimate
from forethought.methods.confidence._confidence import Confidence
from forethought.numerics.token_confidence import Measure, trace_confidence


@dataclass(frozen=True)
class GroupConfidence(Confidence):
    """A trace measure of DeepConf; a trace shorter than the window uses its mean."""

    measure: Literal["lowest", "bottom", "tail", "mean"] = "lowest"
    """The lowest window, the mean of the lowest tenth, the last window, or the mean of all."""
    window: Count = 2048
    """Tokens of a window; short answers need a smaller one, such as 32."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"token-confidence"})

    def confidence(
        self, question: Question, answer: Candidate, samples: Sequence[Candidate]
    ) -> Estimate:
        """The measure of the answer's tokens, as a share."""
        yield from ()  # makes this a generator, as every estimate is
        found = confidence_of(answer, self.measure, self.window)
        return None if found is None else found / (1.0 + found)


def confidence_of(answer: Candidate, measure: Measure, window: int) -> float | None:
    """The measure of an answer; None for one without tokens."""
    known = answer.token_confidences
    if known is None:
        raise UsageError(
            "group-confidence needs the likeliest tokens in each place of an answer",
            "ask a model that runs here",
        )
    return trace_confidence(known, measure, window) if known else None

"""The confidence of an answer's least sure stretch of tokens.

Paper: Deep Think with Confidence, arXiv:2508.15260 (trace measures)
Published: code; facebookresearch/deepconf, mapped to a number from 0 to 1 in the same order.
Exact: c / (1 + c), where c is the measure over the mean negative log-probabilities of the 20
    most probable tokens in each place.
Cost: none beyond the 20 highest log-probabilities of each decoded token; with reread, one prefill
    of the answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from forethought.contracts.parameters import Count
from forethought.contracts.questions import Question
from forethought.contracts.search import Ability, Candidate, Estimate, reread
from forethought.methods.confidence._confidence import Confidence
from forethought.numerics.token_confidence import trace_confidence

_LIKELIEST = 20
"""The likeliest tokens whose log-probabilities give a token's confidence."""


@dataclass(frozen=True)
class GroupConfidence(Confidence):
    """A trace measure of DeepConf; a trace shorter than the window uses its mean."""

    measure: Literal["lowest", "bottom", "tail", "mean"] = "lowest"
    """The lowest window, the mean of the lowest tenth, the last window, or the mean of all."""
    window: Count = 2048
    """Tokens of a window; short answers need a smaller one, such as 32."""

    reread: bool = False
    """Read the answer again after its prompt, for answers sampled without confidences."""

    @property
    def needs(self) -> frozenset[Ability]:
        """The confidence of each decoded token, or readings."""
        return frozenset({"readings" if self.reread else "token-confidence"})

    def confidence(
        self, question: Question, answer: Candidate, samples: Sequence[Candidate]
    ) -> Estimate:
        """The measure of the answer's tokens, as a share."""
        known = answer.token_confidences or ()
        if self.reread and answer.token_ids:
            (read,) = yield from reread([answer.token_ids], top=_LIKELIEST)
            known = tuple(-math.fsum(p for _, p in place) / len(place) for place in read.top)
        if not known:
            return None
        found = trace_confidence(known, self.measure, self.window)
        return found / (1.0 + found)

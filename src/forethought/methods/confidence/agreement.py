"""The share of sampled answers that state the same as the answer.

Paper: Self-Consistency, arXiv:2203.11171 (its agreement as a confidence)
Published: paper; the share of the samples in the answer's group, the answer included.
Exact: the probability of the answer's group under the sampling law, as n grows.
Cost: none for the samples of a search; the missing ones are sampled at temperature 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from forethought.contracts.parameters import Count
from forethought.contracts.questions import Question
from forethought.contracts.search import Candidate, Estimate, group
from forethought.methods.confidence._confidence import Confidence, with_more


@dataclass(frozen=True)
class Agreement(Confidence):
    """The share of all samples that state the answer; 0 for an answer that states nothing."""

    n: Count = 4
    """Fewest answers to count, this one included; a search's further samples count too."""

    def confidence(
        self, question: Question, answer: Candidate, samples: Sequence[Candidate]
    ) -> Estimate:
        """Group the answers, and count."""
        wanted = max(self.n, len(samples)) - 1
        rest = yield from with_more(question, answer, samples, wanted)
        first, *groups = yield from group([answer, *rest])
        same = sum(one == first for one in groups)
        return 0.0 if first is None else (1 + same) / (1 + len(groups))

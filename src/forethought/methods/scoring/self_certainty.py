"""The distance of the model's next-token distributions from uniform, averaged over an answer.

Paper: Scalable Best-of-N Selection via Self-Certainty, arXiv:2502.18581
Published: paper; mapped to a number from 0 to 1 without a change of order.
Exact: c / (1 + c), where c is the mean over tokens of -sum(log(V p)) / V over the vocabulary of V
    tokens, with p their probabilities at temperature 1.
Cost: none; the distributions are known from decoding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from forethought.contracts.errors import UsageError
from forethought.contracts.names import method_name
from forethought.contracts.questions import Question
from forethought.contracts.search import Ability, Candidate, Scorer, Scores


@dataclass(frozen=True)
class SelfCertainty(Scorer):
    """A confidence from whole distributions, not only from sampled tokens; for pick=borda."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"certainty"})

    def score(self, question: Question, candidates: Sequence[Candidate]) -> Scores:
        """The certainty of each candidate; 0 for an empty one."""
        yield from ()  # makes this a generator, as every scorer is
        return [_share(_mean(one)) for one in candidates]


def _mean(one: Candidate) -> float:
    if one.certainty is None:
        raise UsageError(
            f"{method_name(SelfCertainty)} was not told how sure the model was of an answer",
            "ask a model that runs here; what a server wrote tells nothing of it",
        )
    return one.certainty / max(1, one.tokens)


def _share(certainty: float) -> float:
    """A monotone map to [0, 1)."""
    return certainty / (1.0 + certainty)

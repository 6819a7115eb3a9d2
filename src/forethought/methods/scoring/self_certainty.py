"""How far the model was from finding all words equally likely, on average over an answer's tokens.

Paper: Scalable Best-of-N Selection via Self-Certainty, arXiv:2502.18581
Exact: c / (1 + c), where c is the mean over tokens of -sum(log(V p)) / V over the V tokens that
    could have been written, p their probabilities at temperature 1.
Cost: none; what the model gave while it wrote.
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
    """Looks at all that could have been written, not only at what was; for pick=borda."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"certainty"})

    def score(self, question: Question, candidates: Sequence[Candidate]) -> Scores:
        """A number for each candidate; 0 where nothing is written yet."""
        yield from ()  # a scorer is a generator, even where it asks nothing
        return [_share(_mean(one)) for one in candidates]


def _mean(one: Candidate) -> float:
    if one.certainty is None:
        raise UsageError(
            f"{method_name(SelfCertainty)} was not told how sure the model was of an answer",
            "ask a model that runs here; what a server wrote tells nothing of it",
        )
    return one.certainty / max(1, one.tokens)


def _share(certainty: float) -> float:
    """The same order, from 0 up to 1."""
    return certainty / (1.0 + certainty)

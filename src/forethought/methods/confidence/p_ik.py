"""The probability that the model knows the answer, before it decodes any.

Paper: Language Models (Mostly) Know What They Know, arXiv:2207.05221 (P(IK))
Published: ours (general name); Paper: the whole model is trained with a value head on the last
    token, on shares of 30 samples at temperature 1. Here: the model is frozen, and a logistic
    regression is fitted to the share of right answers among the stored samples of each question.
Exact: never; the head knows questions like those that it was fitted to.
Cost: one product with the head for each question; the hidden state is that of the prefill.
    `forethought tune --probe p-ik` fits the head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from forethought.beliefs.probes.file import StoredProbe, read
from forethought.contracts.questions import Question
from forethought.contracts.search import Ability, Candidate, Scorer, Scores


@dataclass(frozen=True)
class PIk(Scorer):
    """The probability that a sampled answer is right, equal for all answers to a question."""

    probe: str
    """File written by `forethought tune --probe p-ik`."""
    digest: str = ""
    """Digest of the file, as printed by `tune`; empty accepts any."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"probes"})

    @property
    def probes(self) -> Sequence[StoredProbe]:
        """The head."""
        return (read(self.probe, "p-ik", self.digest),)

    def score(self, question: Question, candidates: Sequence[Candidate]) -> Scores:
        """The probability that the prompt of each candidate gave."""
        yield from ()  # makes this a generator, as every scorer is
        (head,) = self.probes
        return [head.of(one)[0] for one in candidates]

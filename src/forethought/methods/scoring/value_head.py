"""A fitted head values each beginning of an answer, from the hidden state of its newest token.

Paper: AlphaMath Almost Zero, arXiv:2405.03553 (value head)
Published: ours (general name); Paper: the head is trained together with the model, on the values of
    a tree search from -1 to 1. Here: the model is frozen, and a logistic regression is fitted to
    the outcomes of sampled answers, cut at the ends of their lines.
Exact: never; the head values answers like those that it was fitted to.
Cost: one product with the head for each candidate; the hidden state is that of the decode step that
    sampled the newest token. `forethought tune --probe value-head` fits the head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from forethought.beliefs.probes.file import StoredProbe, read
from forethought.contracts.questions import Question
from forethought.contracts.search import Ability, Candidate, Scorer, Scores


@dataclass(frozen=True)
class ValueHead(Scorer):
    """The probability that an answer with this beginning is right; not calibrated."""

    probe: str
    """File written by `forethought tune --probe value-head`."""
    digest: str = ""
    """Digest of the file, as printed by `tune`; empty accepts any."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"probes"})

    @property
    def probes(self) -> Sequence[StoredProbe]:
        """The head."""
        return (read(self.probe, "value-head", self.digest),)

    def score(self, question: Question, candidates: Sequence[Candidate]) -> Scores:
        """The value of each candidate, which its newest piece brought along."""
        yield from ()  # makes this a generator, as every scorer is
        (head,) = self.probes
        return [head.of(one)[0] for one in candidates]

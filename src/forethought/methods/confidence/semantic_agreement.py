"""The share of sampled answers that mean the same as the answer.

Paper: Semantic Uncertainty, arXiv:2302.09664 (clusters of equal meaning)
Published: ours (own name); Paper: the entropy over clusters, by a model of entailment. Here: the
    share of the answer's own cluster, by the model's own verdicts in both directions or by an
    encoder.
Exact: equals agreement where equal meaning is equal text.
Cost: by verdicts, two prefills of question and two answers for each other sample; by an encoder,
    one pass over all answers. Missing samples are drawn at temperature 1.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

from forethought.contracts.parameters import Count, Share
from forethought.contracts.questions import Question
from forethought.contracts.records import Cost
from forethought.contracts.search import (
    Ability,
    Ask,
    Candidate,
    Estimate,
    charge,
    verdicts,
)
from forethought.methods.confidence._confidence import Confidence, with_more

_SAME = "Does the first answer imply the second one? Reply with Yes or No."


@dataclass(frozen=True)
class SemanticAgreement(Confidence):
    """The share of all samples in the cluster of the answer's meaning."""

    n: Count = 4
    """Fewest answers to compare, this one included; a search's further samples count too."""
    least: Share = 0.5
    """Two answers mean the same above this probability of Yes in both directions, or cosine."""
    encoder: str = ""
    """Sentence encoder that compares: all-minilm-l6-v2, a folder, or owner/name on the hub; if
    empty, the model's own verdicts do."""

    @property
    def needs(self) -> frozenset[Ability]:
        """Verdicts, unless an encoder compares."""
        return frozenset(() if self.encoder else ("verdicts",))

    def confidence(
        self, question: Question, answer: Candidate, samples: Sequence[Candidate]
    ) -> Estimate:
        """Compare the answer with every other sample, and count."""
        wanted = max(self.n, len(samples)) - 1
        rest = yield from with_more(question, answer, samples, wanted)
        nearness_of = self._by_encoder if self.encoder else self._by_verdicts
        nearness = yield from nearness_of(question, answer, rest)
        return (1 + sum(one > self.least for one in nearness)) / (1 + len(rest))

    def _by_verdicts(
        self, question: Question, answer: Candidate, rest: Sequence[Candidate]
    ) -> Generator[Ask, Any, list[float]]:
        """The smaller probability of both directions."""
        if not rest:
            return []
        there = [_prompt(question, answer, one) for one in rest]
        back = [_prompt(question, one, answer) for one in rest]
        chances = yield from verdicts([*there, *back], ("Yes", "No"))
        yes = [one for one, _ in chances]
        return [min(pair) for pair in zip(yes[: len(rest)], yes[len(rest) :], strict=True)]

    def _by_encoder(
        self, question: Question, answer: Candidate, rest: Sequence[Candidate]
    ) -> Generator[Ask, Any, list[float]]:
        """The cosine of each pair."""
        # Imported here because it loads torch.
        from forethought.models.encoders.sentence_encoder import open_sentence_encoder

        texts = [one.text.strip() for one in (answer, *rest)]
        found = open_sentence_encoder(self.encoder).embed(texts)
        yield from charge(Cost(scoring_tokens=found.tokens, flops=found.flops))
        return [float(one) for one in found.vectors[1:] @ found.vectors[0]]


def _prompt(question: Question, first: Candidate, second: Candidate) -> str:
    return (
        f"Question: {question.asked}\n\nFirst answer: {first.text.strip()}\n\n"
        f"Second answer: {second.text.strip()}\n\n{_SAME}"
    )

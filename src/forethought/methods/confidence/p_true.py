"""The model's own probability that its answer is right, beside other answers of its own.

Paper: Language Models (Mostly) Know What They Know, arXiv:2207.05221 (P(True))
Published: ours (general name); Paper: 20 solved examples before the question. Here: no example, and
    the request is in words of this project. The probability is normalised over the two options.
Exact: never; models without training for it are often sure of wrong answers.
Cost: one prefill of question, shown answers and answer. Samples of a search are shown; missing ones
    are sampled at temperature 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from forethought.contracts.parameters import CountOrZero
from forethought.contracts.questions import Question
from forethought.contracts.search import Ability, Candidate, Estimate, verdicts
from forethought.methods.confidence._confidence import Confidence, with_more

_OPTIONS = (
    "Is the possible answer right?\n(A) True\n(B) False\n\nReply with A or B, and nothing else."
)


@dataclass(frozen=True)
class PTrue(Confidence):
    """The probability of "True" against "False", after other samples have been shown."""

    samples: CountOrZero = 5
    """Other answers to show before the question, as the paper does; 0 shows none."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"verdicts"})

    def confidence(
        self, question: Question, answer: Candidate, samples: Sequence[Candidate]
    ) -> Estimate:
        """Show the samples and the answer, and read the probability of the first option."""
        shown = yield from with_more(question, answer, samples, self.samples)
        ((true, _),) = yield from verdicts([_prompt(question, answer, shown)], ("A", "B"))
        return true


def _prompt(question: Question, answer: Candidate, shown: Sequence[Candidate]) -> str:
    """The answer stands among the shown ones too, as in the paper."""
    parts = [f"Question: {question.asked}"]
    if shown:
        ideas = (f"- {one.text.strip()}" for one in (*shown, answer))
        parts.append("\n".join(["Some answers:", *ideas]))
    return "\n\n".join([*parts, f"Possible answer: {answer.text.strip()}", _OPTIONS])

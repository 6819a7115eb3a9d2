"""The model writes how sure it is of its answer, in percent.

Paper: Just Ask for Calibration, arXiv:2305.14975 (a number in a second turn)
Published: ours (general name); Paper: prompts of its own, and a probability from 0 to 1. Here: the
    request is in words of this project, asks for percent, and is decoded greedily.
Exact: never; models favour a few round numbers.
Cost: one prefill of question and answer, and a few decoded tokens.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from forethought.contracts.questions import Question
from forethought.contracts.search import Candidate, Estimate, write
from forethought.methods.confidence._confidence import Confidence

_REQUEST = (
    "How likely is it that this answer is right? Reply with a number from 0 to 100, in percent, "
    "and nothing else."
)
_NUMBER = re.compile(r"(?<![\d.])-?\d+(?:\.\d+)?(\s*%)?")
_TOKENS = 16


@dataclass(frozen=True)
class Verbalised(Confidence):
    """The first number that the model writes; no value if there is none from 0 to 100."""

    def confidence(
        self, question: Question, answer: Candidate, samples: Sequence[Candidate]
    ) -> Estimate:
        """Ask in a prompt of its own, and read the number."""
        prompt = f"Question: {question.asked}\n\nAnswer: {answer.text.strip()}\n\n{_REQUEST}"
        asked = Candidate(question=prompt)
        (said,) = yield from write([asked], temperature=0.0, max_tokens=_TOKENS)
        return stated_percent(said.text)


def stated_percent(text: str) -> float | None:
    """The first number of a text as a share; None if it is no percentage."""
    found = _NUMBER.search(text)
    if found is None:
        return None
    number = float(found[0].rstrip(" %"))
    return number / 100.0 if 0.0 <= number <= 100.0 else None

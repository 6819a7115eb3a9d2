"""Asks for the probabilities of given answers: to any question, or behind a candidate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from forethought.contracts.candidates import Candidate

ChoiceRule = Literal["word", "token", "greedy", "text"]
"""How the probability of a choice is read.

word: that of its first token in all spellings, normalised over the choices.
token: that of the one token that it is, not normalised.
greedy: 1 for the choice that is the likeliest of all tokens, 0 for all others.
text: the geometric mean over its tokens and an end token, not normalised.
"""


@dataclass(frozen=True)
class Verdict:
    """Ask for the probability of each of `choices` as the answer to each question.

    The result is a list of probabilities for each question.
    """

    questions: tuple[str, ...]
    choices: tuple[str, ...]
    by: str = ""
    """The server address of the judging model; empty for the run's own model."""
    rule: ChoiceRule = "word"


@dataclass(frozen=True)
class FollowUp:
    """Ask for the probability of each of `choices` as the reply to a question about a candidate.

    The question is the next turn behind the candidate's own text, whose cache serves. So only the
    question is prefilled, and the candidate may grow on afterwards. A back end without this ability
    judges a prompt that repeats the question and the answer. The result is a list of probabilities
    for each candidate.
    """

    candidates: tuple[Candidate, ...]
    question: str
    choices: tuple[str, ...]
    reply: str = ""
    """The beginning of the reply, which a choice continues."""
    rule: ChoiceRule = "word"
    """All but text."""

    def repeated(self) -> Verdict:
        """The same for a back end that holds no caches."""
        pages = [
            f"Question: {one.asked}\n\nAnswer: {one.text.strip()}\n\n{self.question}"
            for one in self.candidates
        ]
        return Verdict(tuple(pages), self.choices, rule=self.rule)

"""Another model, on a server, gives the probability that an answer is right, or a grade.

Paper: Judging LLM-as-a-Judge, arXiv:2306.05685 (answers graded one by one); Language Models
    (Mostly) Know What They Know, arXiv:2207.05221 (the probability of one word)
Published: ours (general name); Paper: prompts of its own. Here: the request is in words of this
    project.
Exact: never; judges favour answers like their own, and long answers.
Cost: the judge prefills each candidate with its question and decodes a word; in money too if its
    price is known. Questions and answers leave this machine for the server.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from forethought.contracts.errors import BadParameterError
from forethought.contracts.names import method_name
from forethought.contracts.questions import Question, Task
from forethought.contracts.search import Candidate, Scorer, Scores, verdicts
from forethought.methods.scoring._asking import asked

_SHOWN = "Question: {question}\n\nAnswer: {answer}\n\n"
_WHOLE = {
    "yes-no": "Is this answer right? Reply with Yes or No, and nothing else.",
    "grade": "How good is this answer? Reply with a digit from 0 for useless to 9 for perfect, and "
    "nothing else.",
}
_BEGUN = "The answer is not finished yet; judge what is there. "
_PLACES = re.compile(r"\{(question|answer)\}")
_GRADES = tuple("0123456789")


@dataclass(frozen=True)
class RemoteJudge(Scorer):
    """The probability of Yes against No, or the expected grade.

    If the server returns no probabilities, the judge's word counts with probability 1. Any other
    reply ends the search with an error.
    """

    server: str
    """The judge: an OpenAI-compatible server and its model, http://host:port/v1#model."""
    asks: Literal["yes-no", "grade"] = "yes-no"
    """Ask whether the answer is right, or for a grade from 0 to 9."""
    prompt: str = ""
    """The judge's prompt, with {question} and {answer} in it; a built-in prompt if empty."""

    @property
    def by(self) -> str:
        """The judge's address."""
        return self.server

    def on_task(self, task: Task | None) -> Scorer:
        """The same scorer; BadParameterError for a prompt without question or answer."""
        places = set(_PLACES.findall(self.prompt))
        if self.prompt and places != {"question", "answer"}:
            raise BadParameterError(
                f"{method_name(type(self))}: the prompt {self.prompt!r} does not show both",
                "write {question} and {answer} where they are to stand",
            )
        return self

    def score(self, question: Question, candidates: Sequence[Candidate]) -> Scores:
        """A score for each candidate, from one batch of requests."""
        if not candidates:
            return []
        prompts = [self._prompt(asked(question, one), one) for one in candidates]
        choices = ("Yes", "No") if self.asks == "yes-no" else _GRADES
        chances = yield from verdicts(prompts, choices, by=self.server)
        return [self._number(row) for row in chances]

    def _number(self, chances: Sequence[float]) -> float:
        if self.asks == "yes-no":
            return chances[0]
        return min(1.0, sum(grade * chance for grade, chance in enumerate(chances)) / 9)

    def _prompt(self, question: str, one: Candidate) -> str:
        usual = _SHOWN + ("" if one.done else _BEGUN) + _WHOLE[self.asks]
        # One pass over the prompt, since an answer may contain "{question}".
        filled = {"question": question, "answer": one.text.strip()}
        return _PLACES.sub(lambda place: filled[place[1]], self.prompt or usual)

"""Another model, on a server, says how likely it finds an answer right, or grades it.

Paper: Judging LLM-as-a-Judge, arXiv:2306.05685 (answers graded one by one); Language Models
    (Mostly) Know What They Know, arXiv:2207.05221 (the chance of one word)
Exact: no limit makes it right; judges favour answers like their own, and long ones.
Cost: the judge reads each candidate with its question and writes a word; money where its price is
    known. Questions and answers leave this machine for the server.
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
    """The chance of Yes against No, or the mean of the grades by their chances.

    What was written counts as sure, where the server tells no chances. A judge that replies with
    anything else ends the search with an error.
    """

    server: str
    """The judge: a server of the OpenAI kind and its model, http://host:port/v1#model."""
    asks: Literal["yes-no", "grade"] = "yes-no"
    """Whether the answer is right, or how good it is in a digit from 0 to 9."""
    prompt: str = ""
    """What the judge is asked, with {question} and {answer} in it; a usual text where empty."""

    @property
    def by(self) -> str:
        """The judge's address."""
        return self.server

    def on_task(self, task: Task | None) -> Scorer:
        """The same; BadParameterError for a prompt that does not show question and answer."""
        places = set(_PLACES.findall(self.prompt))
        if self.prompt and places != {"question", "answer"}:
            raise BadParameterError(
                f"{method_name(type(self))}: the prompt {self.prompt!r} does not show both",
                "write {question} and {answer} where they are to stand",
            )
        return self

    def score(self, question: Question, candidates: Sequence[Candidate]) -> Scores:
        """A number for each candidate; all are asked about at once."""
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
        # Filled in at once: an answer may hold what looks like a place.
        filled = {"question": question, "answer": one.text.strip()}
        return _PLACES.sub(lambda place: filled[place[1]], self.prompt or usual)

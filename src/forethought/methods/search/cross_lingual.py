"""Compare answers with each other and with answers in another language.

Paper: When Life Gives You Samples, arXiv:2506.20544 (X-MBR, the model itself as the judge)
Published: ours (own name); Paper: prompts of its own, and optional min-p. Here: the requests are in
    words of this project, and samples are drawn without min-p.
Exact: equals the greedy answer at n=1; evidence=0 compares the answers alone.
Cost: n answers and the evidence; a prefill for every pair of answers, and of an answer and a
    piece of evidence.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from forethought.contracts.errors import BudgetSpentError
from forethought.contracts.parameters import Count, CountOrZero, Range
from forethought.contracts.search import (
    Ability,
    Ask,
    Candidate,
    Found,
    Search,
    Strategy,
    verdicts,
    write,
)
from forethought.methods.search._answers import budget_spent, leading, side_text
from forethought.methods.search._hedge import hedged
from forethought.numerics.language import elsewhere, is_in
from forethought.numerics.overlap import mean_overlaps

_ELSEWHERE = """{asked}

Answer in {language}."""
_SAME = """Here is a task:

{asked}

One answer to it:
{first}

Another answer, perhaps in another language:
{second}

Do the two answers say the same? Reply with Yes or No."""


@dataclass(frozen=True)
class CrossLingual(Strategy):
    """The answer of most agreement with the other answers and with those in another language."""

    n: Count = 5
    """Answers, the greedy one included."""
    temperature: Annotated[float, Range(0, 10)] = 0.7
    """Temperature of all answers but the greedy one."""
    evidence: CountOrZero = 3
    """Answers in the other language, for comparison only."""
    language: str = ""
    """The other language; if empty, English, or Chinese for a prompt in English. Answers that are
    not in it do not count, as far as English and Chinese can be told apart."""

    revision: ClassVar[int] = 2
    needs: ClassVar[frozenset[Ability]] = frozenset({"verdicts"})

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Sample in both languages and let the model compare; without a budget, compare by chrF."""
        answers = yield from hedged(start, self.n, self.temperature)
        beside: list[str] = []
        notes: tuple[str, ...] = ()
        if self.evidence and not budget_spent(answers):
            beside, notes = yield from self._beside(start.asked)
        own = [place for place, one in enumerate(answers) if one.whole]
        texts = [answers[place].text.strip() for place in own]
        try:
            agreed = yield from _agreed(start.asked, texts, beside)
        except BudgetSpentError as error:
            agreed, notes = mean_overlaps(texts), (*notes, error.message)
        weights = [0.0] * len(answers)
        for place, share in zip(own, agreed, strict=True):
            weights[place] = share
        best = answers[leading(answers, weights)]
        return Found(best, tuple(answers), tuple(weights), notes=notes)

    def _beside(self, asked: str) -> Generator[Ask, Any, tuple[list[str], tuple[str, ...]]]:
        """The evidence, and a note if some of it is in another language than asked for."""
        language = self.language or elsewhere(asked)
        prompt = side_text(_ELSEWHERE.format(asked=asked, language=language))
        written = yield from write([prompt] * self.evidence, temperature=self.temperature)
        texts = [one.text.strip() for one in written if one.whole]
        found = [text for text in texts if is_in(text, language)]
        wrong = len(texts) - len(found)
        told = f"{wrong} of {len(texts)} answers for comparison are not in {language}"
        return found, (told,) if wrong else ()


def _agreed(
    asked: str, texts: Sequence[str], beside: Sequence[str]
) -> Generator[Ask, Any, list[float]]:
    """The agreement of each text with the others and with the evidence."""
    pairs = _pairs(texts, beside)
    if not pairs:
        return [0.0] * len(texts)
    pages = [_SAME.format(asked=asked, first=one, second=other) for one, other in pairs]
    chances = yield from verdicts(pages, ("Yes", "No"))
    same = {pair: yes for pair, (yes, _) in zip(pairs, chances, strict=True)}
    shares = []
    for number, text in enumerate(texts):
        others = [*texts[:number], *texts[number + 1 :], *beside]
        shares.append(sum(_agreement(text, other, same) for other in others) / len(others))
    return shares


def _pairs(texts: Sequence[str], beside: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of different texts to compare, each pair once."""
    found = {(one, other): None for one in texts for other in beside if one != other}
    for number, one in enumerate(texts):
        for other in texts[:number]:
            if one != other and (one, other) not in found:
                found.setdefault((other, one), None)
    return list(found)


def _agreement(one: str, other: str, same: dict[tuple[str, str], float]) -> float:
    """The probability that two texts say the same, in either order; 1 for equal texts."""
    if one == other:
        return 1.0
    return same[(one, other)] if (one, other) in same else same[(other, one)]

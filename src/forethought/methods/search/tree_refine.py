"""Revise an answer several ways, keep the revisions that critics accept, and revise those.

Paper: SPaR, arXiv:2412.11605 (tree-search refinement, breadth first)
Published: ours (own name); Paper: prompts of its own, and a trained critic. Here: the requests are
    in words of this project, and no critic is trained.
Exact: equals one plain sample at depth=0; with oracle critics and revisions that succeed with
    probability q, one depth is right with probability 1 - (1 - q)^branch.
Cost: `judges` critiques and verdicts for the first answer and every different revision; with the
    defaults up to 15 revisions and 80 critiques, depth after depth.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from forethought.contracts.errors import BudgetSpentError
from forethought.contracts.parameters import Count, CountOrZero, OddCount, Range, Share
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
from forethought.methods.search._answers import budget_spent, leading, reprompted, side_text

_CRITIQUE = """Here is a task:

{asked}

An answer to it:
{answer}

Check step by step whether the answer does everything that the task asks for. Name what is \
wrong with it, if anything is."""
_ACCEPTED = """Here is what a critic wrote about an answer:

{critique}

Does the critic find that the answer does everything that was asked for? Reply with Yes or No."""
_REVISE = """{asked}

This answer was given before:
{answer}

A critic said of it:
{critique}

Write the answer anew. Change only what the critic found wrong. Give the answer alone."""


@dataclass(frozen=True)
class TreeRefine(Strategy):
    """The first answer that critics accept, or the answer that most of them accept."""

    branch: Count = 3
    """Revisions per answer."""
    width: Count = 2
    """Answers per depth that are revised again."""
    depth: CountOrZero = 3
    """Most rounds of revision."""
    judges: OddCount = 5
    """Critiques per answer."""
    enough: Share = 0.5
    """Stop once a larger share of the critics accepts an answer."""
    select: Literal["best", "drawn"] = "best"
    """Revise the most accepted answers, or draw answers by their share of acceptance."""
    temperature: Annotated[float, Range(0, 10)] = 0.7
    """Temperature of critiques and revisions."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"verdicts"})

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Answer, judge and revise the best, depth after depth."""
        tree = _Tree(start, self.judges, self.temperature)
        answers = yield from write([start])
        if not self.depth or budget_spent(answers):
            return Found(answers[0], tuple(answers), (1.0,))
        level = yield from tree.judged(answers)
        for _ in range(self.depth):
            if not level or max(one.value for one in level) > self.enough:
                break
            revised = yield from self._revised(start, self._kept(level, rng))
            level = yield from tree.judged(revised)
            if budget_spent(revised) or tree.cut:
                break
        return tree.found(answers[0])

    def _kept(self, level: Sequence[_Node], rng: np.random.Generator) -> list[_Node]:
        """The nodes to revise: at most `width`, without duplicates."""
        if self.select == "best" or len(level) <= self.width:
            return sorted(level, key=lambda one: -one.value)[: self.width]
        # If all shares are 0, the draw is uniform.
        chances = np.array([one.value for one in level]) + 1e-9
        drawn = rng.choice(len(level), self.width, replace=False, p=chances / chances.sum())
        return [level[place] for place in drawn]

    def _revised(
        self, start: Candidate, kept: Sequence[_Node]
    ) -> Generator[Ask, Any, list[Candidate]]:
        prompts = [
            reprompted(
                start,
                _REVISE.format(
                    asked=start.asked, answer=one.answer.text.strip(), critique=one.critique
                ),
            )
            for one in kept
            for _ in range(self.branch)
        ]
        return (yield from write(prompts, temperature=self.temperature))


@dataclass(frozen=True)
class _Node:
    """An answer and its critiques."""

    answer: Candidate
    value: float
    """Share of the critics that accept it."""
    critique: str
    """A critique that agrees with the majority."""


class _Tree:
    """All judged answers, each text once."""

    def __init__(self, start: Candidate, judges: int, temperature: float) -> None:
        self.start, self.judges, self.temperature = start, judges, temperature
        self.nodes: dict[str, _Node] = {}
        self.duplicates: list[Candidate] = []
        self.cut = False
        self.notes: tuple[str, ...] = ()

    def judged(self, answers: Sequence[Candidate]) -> Generator[Ask, Any, list[_Node]]:
        """The nodes of new, non-empty answers."""
        fresh: dict[str, Candidate] = {}
        for one in answers:
            text = one.text.strip()
            if text and one.whole and text not in self.nodes and text not in fresh:
                fresh[text] = one
            else:
                self.duplicates.append(one)
        if not fresh:
            return []
        said = yield from write(
            [
                side_text(_CRITIQUE.format(asked=self.start.asked, answer=text))
                for text in fresh
                for _ in range(self.judges)
            ],
            temperature=self.temperature,
        )
        self.cut = budget_spent(said)
        heard = [one for one in said if one.whole]
        pages = [_ACCEPTED.format(critique=one.text.strip()) for one in heard]
        try:
            chances = (yield from verdicts(pages, ("Yes", "No"))) if pages else []
        except BudgetSpentError as error:
            self.cut, self.notes = True, (error.message,)
            self.duplicates += fresh.values()
            return []
        accepts = {one.identity: yes for one, (yes, _) in zip(heard, chances, strict=True)}
        for place, (text, one) in enumerate(fresh.items()):
            critiques = said[place * self.judges : (place + 1) * self.judges]
            self.nodes[text] = _node(one, [c for c in critiques if c in heard], accepts)
        return [self.nodes[text] for text in fresh]

    def found(self, first: Candidate) -> Found:
        """The most accepted answer; ties go to the latest. The first answer if none was judged."""
        nodes = list(self.nodes.values()) or [_Node(first, 0.0, "")]
        answers = [one.answer for one in nodes]
        values = [one.value for one in nodes]
        best = len(nodes) - 1 - leading(answers[::-1], values[::-1])
        duplicates = tuple(one for one in self.duplicates if one.identity != first.identity)
        return Found(answers[best], tuple(answers), tuple(values), None, duplicates, self.notes)


def _node(answer: Candidate, critiques: Sequence[Candidate], accepts: dict[Any, float]) -> _Node:
    """The share of accepting critics; a verdict of exactly 0.5 is ignored."""
    told = [(accepts[one.identity] > 0.5, one) for one in critiques if accepts[one.identity] != 0.5]
    if not told:
        return _Node(answer, 0.0, "")
    share = sum(yes for yes, _ in told) / len(told)
    agreeing = [one for yes, one in told if yes == (share > 0.5)]
    return _Node(answer, share, (agreeing or [told[0][1]])[0].text.strip())

"""Grow the most promising beginning of all first, by what it lacks and what it lost on the way.

Paper: A*-Decoding, arXiv:2505.13672
Exact: with n=1 it is the plain answer, step by step.
Cost: n steps and n scores an expansion; at least as many in a row as the answer has steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import ClassVar, Literal

import numpy as np

from forethought.contracts.parameters import Count
from forethought.contracts.search import Ability, Candidate, Search, Strategy, write
from forethought.methods.search._answers import cut
from forethought.methods.search._choice import AnswerOption, chosen
from forethought.methods.search._steps import beginning, stepped, twins


@dataclass(frozen=True)
class AStar(Strategy):
    """The first answer that no beginning promises to beat; a score of 1 lacks nothing."""

    n: Count = 4
    """Steps drawn behind a beginning; equal ones count once."""
    cost: Literal["worsening", "consistent", "none"] = "worsening"
    """What a step costs besides what its end lacks: what the score lost by it; what it gained,
    so that costs never fall along a branch, but present quality cancels out; or nothing."""
    goals: Count = 1
    """Answers collected, at most."""
    pick: Literal["best", "vote"] = "best"
    """Of several goals: the best score, or what most say, each counted by its score."""
    batch: Count = 1
    """Beginnings grown at once; above 1 the order is no longer strict."""
    expansions: Count = 40
    """Beginnings grown, at most; then the most promising is written to its end, where there is
    no answer."""
    delimiter: str = "\n\n"
    """What ends a step."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"steps"})
    scores: ClassVar[bool] = True

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Take the best from the frontier, grow it, put back what came of it."""
        frontier = _Frontier()
        frontier.add(_Node(beginning(start), spent=0.0, lacks=1.0))
        goals: list[AnswerOption] = []
        pruned: list[Candidate] = []
        grown = 0
        while grown < self.expansions:
            nodes = frontier.taken(min(self.batch, self.expansions - grown), goals, self.goals)
            if not nodes:
                break
            grown += len(nodes)
            parents = [node for node in nodes for _ in range(self.n)]
            drawn = yield from stepped(
                [node.option for node in parents], until="step", delimiter=self.delimiter
            )
            for node, one, again in zip(
                parents, drawn, twins(one.candidate for one in drawn), strict=True
            ):
                if again:
                    pruned.append(one.candidate)
                else:
                    frontier.add(self._child(node, one))
            if cut(one.candidate for one in drawn):
                break
        left = frontier.emptied()
        if len(goals) < self.goals:
            goals += [one for one in left if one.candidate.done]
        if not goals:
            best = left[0]
            (whole,) = yield from write([best.candidate])
            goals = [AnswerOption(whole, best.weight, best.score)]
        pruned += [one.candidate for one in left]
        return (yield from chosen(goals, self.pick, rng, pruned=pruned))

    def _child(self, parent: _Node, option: AnswerOption) -> _Node:
        lacks = 1.0 - option.score
        return _Node(option, parent.spent + self._edge(parent.lacks, lacks), lacks)

    def _edge(self, before: float, after: float) -> float:
        """What a step costs that leads from what one beginning lacks to what the next does."""
        match self.cost:
            case "worsening":
                return max(0.0, after - before)
            case "consistent":
                return max(0.0, before - after)
        return 0.0


@dataclass(frozen=True)
class _Node:
    """A beginning of an answer."""

    option: AnswerOption
    spent: float
    """Cost of all steps to here."""
    lacks: float
    """What its score lacks of 1."""

    @property
    def promise(self) -> float:
        """The less the better."""
        return self.spent + self.lacks


@dataclass
class _Frontier:
    """What may be grown or returned, the most promising first; of equal ones the deepest."""

    heap: list[tuple[float, int, int, _Node]] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)

    def add(self, node: _Node) -> None:
        """Put in a node."""
        depth = len(node.option.candidate.path)
        heappush(self.heap, (node.promise, -depth, next(self.numbers), node))

    def taken(self, most: int, goals: list[AnswerOption], wanted: int) -> list[_Node]:
        """Up to `most` that can grow; answers that come up before go to `goals`.

        None once `wanted` goals are there: what came up beside the last stays in.
        """
        nodes: list[_Node] = []
        while self.heap and len(nodes) < most and len(goals) < wanted:
            node = heappop(self.heap)[3]
            if node.option.candidate.done:
                goals.append(node.option)
            else:
                nodes.append(node)
        if len(goals) < wanted:
            return nodes
        for node in nodes:
            self.add(node)
        return []

    def emptied(self) -> list[AnswerOption]:
        """All that is left, the most promising first."""
        return [one[3].option for one in sorted(self.heap)]

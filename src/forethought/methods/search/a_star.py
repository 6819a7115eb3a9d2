"""Extend the partial answer of lowest estimated cost first, as A* does.

Paper: A*-Decoding, arXiv:2505.13672
Published: ours (general name); the step cost and the width follow the paper's abstract alone.
Exact: equals one plain sample, drawn step by step, at n=1.
Cost: n steps and n scores per expansion, in at least as many rounds as the answer has steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import ClassVar, Literal

import numpy as np

from forethought.contracts.parameters import Count, Delimiter
from forethought.contracts.search import Ability, Candidate, Search, Strategy, write
from forethought.methods.search._answers import budget_spent
from forethought.methods.search._choice import AnswerOption, chosen
from forethought.methods.search._steps import duplicates, next_steps, start_option


@dataclass(frozen=True)
class AStar(Strategy):
    """Returns the first answer that no partial answer can beat; a score of 1 leaves no cost."""

    n: Count = 4
    """Steps sampled per expansion; equal steps count once."""
    cost: Literal["worsening", "consistent", "none"] = "worsening"
    """Cost of a step besides the remaining 1 - score: the loss of score (worsening), its gain
    (consistent: total cost never falls along a branch), or none."""
    goals: Count = 1
    """Most answers collected."""
    pick: Literal["best", "vote"] = "best"
    """Choice among several goals: best score, or a vote weighted by scores."""
    batch: Count = 1
    """Partial answers extended at once; above 1 the order is not strict."""
    expansions: Count = 40
    """Most expansions; then, without an answer, the best partial answer is sampled to its end."""
    delimiter: Delimiter = "\n\n"
    """Text that ends a step."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"steps"})
    scores: ClassVar[bool] = True

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Take the best node from the frontier, extend it, and add its children."""
        frontier = _Frontier()
        frontier.add(_Node(start_option(start), spent=0.0, lacks=1.0))
        goals: list[AnswerOption] = []
        pruned: list[Candidate] = []
        grown = 0
        while grown < self.expansions:
            nodes = frontier.taken(min(self.batch, self.expansions - grown), goals, self.goals)
            if not nodes:
                break
            grown += len(nodes)
            parents = [node for node in nodes for _ in range(self.n)]
            drawn = yield from next_steps(
                [node.option for node in parents], until="step", delimiter=self.delimiter
            )
            for node, one, again in zip(
                parents, drawn, duplicates(one.candidate for one in drawn), strict=True
            ):
                if again:
                    pruned.append(one.candidate)
                else:
                    frontier.add(self._child(node, one))
            if budget_spent(one.candidate for one in drawn):
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
        """The cost of a step, from the remaining costs before and after it."""
        match self.cost:
            case "worsening":
                return max(0.0, after - before)
            case "consistent":
                return max(0.0, before - after)
        return 0.0


@dataclass(frozen=True)
class _Node:
    """A partial answer in the frontier."""

    option: AnswerOption
    spent: float
    """Cost of all steps to here."""
    lacks: float
    """Remaining cost: 1 - score."""

    @property
    def promise(self) -> float:
        """Estimated total cost; lower is better."""
        return self.spent + self.lacks


@dataclass
class _Frontier:
    """Nodes by estimated cost, lowest first; ties go to the deepest."""

    heap: list[tuple[float, int, int, _Node]] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)

    def add(self, node: _Node) -> None:
        """Add a node."""
        depth = len(node.option.candidate.path)
        heappush(self.heap, (node.promise, -depth, next(self.numbers), node))

    def taken(self, most: int, goals: list[AnswerOption], wanted: int) -> list[_Node]:
        """Up to `most` nodes to extend; answers found before them go to `goals`.

        No nodes once there are `wanted` goals: they return to the frontier.
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
        """The remaining options, best first."""
        return [one[3].option for one in sorted(self.heap)]

"""Grow a tree of steps by PUCT, and follow its best branch to an answer.

Paper: AlphaMath, arXiv:2405.03553 (PUCT selection, values instead of rollouts)
Published: ours (general name); Paper: 5 children, 40 iterations and 8 steps of thought and code,
    without an answer beyond them. Here: 4, 16 and 40, of text, and the last step runs to the end.
Exact: equals one plain sample, drawn step by step, at n=1 and whenever all scores are equal.
Cost: n steps and n scores per iteration, and one more answer if the best branch has none; steps
    share the KV cache of their prefix.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar

import numpy as np

from forethought.contracts.parameters import Count, Delimiter, Range
from forethought.contracts.search import (
    Ability,
    Ask,
    Candidate,
    Found,
    Search,
    Strategy,
    Until,
    group,
    score,
    write,
)
from forethought.methods.search._answers import budget_spent, leading
from forethought.methods.search._steps import duplicates
from forethought.numerics.votes import Tally

SAME = 1e-9
"""Mean values that differ by less are equal: rounding depends on the order of sums."""


@dataclass(frozen=True)
class MCTS(Strategy):
    """The answer at the end of the branch of highest mean value."""

    n: Count = 4
    """Steps sampled per expansion; equal steps count once."""
    iterations: Count = 16
    """Most expansions; the search ends when every branch is finished."""
    explore: Annotated[float, Range(0, 100)] = 1.5
    """Weight of the prior of rarely visited steps against their value (PUCT constant)."""
    depth: Count = 40
    """Most steps of an answer; the last step runs to the end."""
    delimiter: Delimiter = "\n\n"
    """Text that ends a step."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"steps", "log-probabilities"})
    scores: ClassVar[bool] = True

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Select, expand, evaluate, back up; then read out the answer."""
        root, spent = _Node(start), False
        for _ in range(self.iterations):
            spent = yield from self._grown(root, self._selected(root, rng))
            if spent or root.closed:
                break
        if not spent:
            yield from self._ended(root)
        if not root.found:
            return _unfinished(root)
        return (yield from self._read_out(root))

    def _grown(self, root: _Node, path: list[_Node]) -> Generator[Ask, Any, bool]:
        """Expand the end of a path and back up its value; whether the budget is spent."""
        leaf = path[-1]
        until: Until = "end" if len(path) >= self.depth else "step"
        drawn = yield from write([leaf.state] * self.n, until=until, delimiter=self.delimiter)
        pairs = list(zip(drawn, duplicates(drawn), strict=True))
        leaf.children = [_node(leaf.state, one) for one, duplicate in pairs if not duplicate]
        root.duplicates += [one for one, duplicate in pairs if duplicate]
        yield from _evaluated(leaf)
        _back_up(path, leaf.value)
        for child in leaf.children:
            if child.answers:
                _back_up([*path, child], child.value)
        _close(path)
        return budget_spent(drawn)

    def _selected(self, root: _Node, rng: np.random.Generator) -> list[_Node]:
        """The path from the root to a node without children, by PUCT."""
        path = [root]
        while path[-1].children:
            open_ones = [child for child in path[-1].children if not child.closed]
            worth = np.array([self._worth(path[-1], child) for child in open_ones])
            best = np.flatnonzero(worth >= worth.max() - 1e-12)
            path.append(open_ones[int(rng.choice(best))])
        return path

    def _worth(self, parent: _Node, child: _Node) -> float:
        surprise = math.sqrt(parent.visits) / (1 + child.visits)
        return child.mean + self.explore * child.prior * surprise

    def _ended(self, root: _Node) -> Generator[Ask, Any, None]:
        """Sample the best branch to its end, if it has no answer.

        The branch competes with those that have answers; equal values go to the first child.
        """
        path = [root]
        while (node := path[-1]).children:
            best = max(one.worth for one in node.ways)
            path.append(next(one for one in node.children if abs(one.worth - best) < SAME))
        if not node.state.done:
            (whole,) = yield from write([node.state])
            node.children = [_Node(whole)]
            yield from _evaluated(node)
            if whole.whole:
                _back_up([*path, *node.children], node.children[0].value)

    def _read_out(self, root: _Node) -> Search:
        """Follow the highest mean value from the root, along branches with an answer."""
        node = root
        while not node.answers:
            best = max(one.worth for one in node.ways)
            node = next(one for one in node.ways if abs(one.worth - best) < SAME)
        answers = [one for one in root.below() if one.answers]
        states = [one.state for one in answers]
        groups = yield from group(states)
        weights = [(one.value + 1) / 2 for one in answers]
        share = Tally.of(groups, weights).part(states.index(node.state))
        given_up = [one.state for one in root.below() if not one.children and not one.answers]
        return Found(
            node.state, tuple(states), tuple(weights), share, (*given_up, *root.duplicates)
        )


@dataclass
class _Node:
    """A partial answer and the statistics of its subtree."""

    state: Candidate
    prior: float = 1.0
    """Likelihood per token of its last step."""
    value: float = 0.0
    """Value of its score, from -1 to 1."""
    total: float = 0.0
    visits: int = 0
    closed: bool = False
    """Whether its subtree is finished."""
    children: list[_Node] = field(default_factory=list)
    duplicates: list[Candidate] = field(default_factory=list)
    """At the root, duplicate steps of the whole tree."""

    @property
    def mean(self) -> float:
        """Mean of the values backed up through it; 0 without any."""
        return self.total / self.visits if self.visits else 0.0

    @property
    def answers(self) -> bool:
        """Whether it is a finished answer, or one at its token limit."""
        return self.state.whole

    @property
    def worth(self) -> float:
        """Value for the final choice: its mean, or its own value without visits."""
        return self.mean if self.visits else self.value

    @property
    def found(self) -> bool:
        """Whether its subtree has an answer."""
        return any(node.answers for node in self.below())

    @property
    def ways(self) -> list[_Node]:
        """Children with an answer, or all children if none has."""
        return [child for child in self.children if child.found] or self.children

    def below(self) -> Iterator[_Node]:
        """This node and its subtree."""
        yield self
        for child in self.children:
            yield from child.below()


def _node(parent: Candidate, one: Candidate) -> _Node:
    """The node of a step, with its likelihood per token as prior."""
    tokens = one.scored_tokens - parent.scored_tokens or one.tokens - parent.tokens
    return _Node(one, math.exp((one.log_probability - parent.log_probability) / max(1, tokens)))


def _evaluated(leaf: _Node) -> Generator[Ask, Any, None]:
    """Score the children; a child that the budget cut short keeps its parent's value."""
    judged = [child for child in leaf.children if child.state.finish != "budget"]
    values = (yield from score([child.state for child in judged])) if judged else []
    for child in leaf.children:
        child.value, child.closed = leaf.value, child.state.done
    for child, value in zip(judged, values, strict=True):
        child.value = 2 * value - 1


def _unfinished(root: _Node) -> Found:
    """The longest leaf, if no answer is finished."""
    begun = [replace(one.state, finish="budget") for one in root.below() if not one.children]
    best = leading(begun, [one.likelihood for one in begun])
    return Found(begun[best], tuple(begun), pruned=tuple(root.duplicates))


def _back_up(path: list[_Node], value: float) -> None:
    for node in path:
        node.total += value
        node.visits += 1


def _close(path: list[_Node]) -> None:
    """Close the nodes of a path whose children are all closed, from its end up."""
    for node in reversed(path):
        node.closed = all(child.closed for child in node.children)

"""Grow a tree of steps where values and likelihood promise most, and walk down its best branch.

Paper: AlphaMath, arXiv:2405.03553 (PUCT selection, values instead of rollouts)
Exact: with n=1 it is the plain answer, step by step.
Cost: n steps and n scores an iteration; steps share the cache of what stands before them.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import numpy as np

from forethought.contracts.parameters import Count, Range
from forethought.contracts.search import (
    Ability,
    Ask,
    Candidate,
    Found,
    Search,
    Strategy,
    group,
    score,
    write,
)
from forethought.methods.search._answers import leading
from forethought.methods.search._steps import twins
from forethought.numerics.votes import Tally


@dataclass(frozen=True)
class MCTS(Strategy):
    """The answer at the end of the branch of the best mean value."""

    n: Count = 4
    """Steps drawn where the tree grows; equal ones count once."""
    iterations: Count = 16
    """How often it grows, at most: it ends where every branch has."""
    explore: Annotated[float, Range(0, 100)] = 1.5
    """How much the likelihood of a step that was visited little counts beside its value."""
    depth: Count = 40
    """Steps of an answer, at most; the last one runs to the end."""
    delimiter: str = "\n\n"
    """What ends a step."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"steps", "log-probabilities"})
    scores: ClassVar[bool] = True

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Select, expand, evaluate, back up; then read out the answer."""
        root = _Node(start)
        for _ in range(self.iterations):
            if root.closed:
                break
            path = self._selected(root, rng)
            leaf = path[-1]
            last = len(path) >= self.depth
            drawn = yield from write(
                [leaf.state] * self.n, until="end" if last else "step", delimiter=self.delimiter
            )
            pairs = list(zip(drawn, twins(drawn), strict=True))
            leaf.children = [_node(leaf.state, one) for one, twin in pairs if not twin]
            root.twins += [one for one, twin in pairs if twin]
            values = yield from score([child.state for child in leaf.children])
            for child, value in zip(leaf.children, values, strict=True):
                child.value = 2 * value - 1
            _back_up(path, leaf.value)
            for child in leaf.children:
                if child.state.done:
                    child.closed = True
                    _back_up([*path, child], child.value)
            _close(path)
        if not any(node.answers for node in root.below()):
            yield from self._ended(root)
        if not any(node.answers for node in root.below()):
            return _unfinished(root)
        return (yield from self._read_out(root))

    def _selected(self, root: _Node, rng: np.random.Generator) -> list[_Node]:
        """From the root to a node that was not expanded yet."""
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
        """Where no branch has ended, write the most promising one to its end."""
        open_ones = [one for one in root.below() if not one.children and not one.state.done]
        if open_ones:
            best = max(open_ones, key=lambda one: (one.value, len(one.state.steps)))
            (whole,) = yield from write([best.state])
            best.children = [_Node(whole, closed=True, value=best.value)]

    def _read_out(self, root: _Node) -> Search:
        """Down from the root by mean value, along branches that have an answer."""
        node = root
        while not node.answers:
            ways = [one for one in node.children if any(deep.answers for deep in one.below())]
            node = max(ways, key=lambda one: one.mean if one.visits else one.value)
        answers = [one for one in root.below() if one.answers]
        states = [one.state for one in answers]
        groups = yield from group(states)
        weights = [(one.value + 1) / 2 for one in answers]
        share = Tally.of(groups, weights).part(states.index(node.state))
        given_up = [one.state for one in root.below() if not one.children and not one.answers]
        return Found(node.state, tuple(states), tuple(weights), share, (*given_up, *root.twins))


@dataclass
class _Node:
    """A beginning of an answer, and what was found behind it."""

    state: Candidate
    prior: float = 1.0
    """How likely its last step was, as its tokens' mean."""
    value: float = 0.0
    """From -1 to 1."""
    total: float = 0.0
    visits: int = 0
    closed: bool = False
    """Whether nothing can be added behind it."""
    children: list[_Node] = field(default_factory=list)
    twins: list[Candidate] = field(default_factory=list)
    """At the root, steps that were drawn a second time."""

    @property
    def mean(self) -> float:
        """Of all values backed up through it; 0 where there were none."""
        return self.total / self.visits if self.visits else 0.0

    @property
    def answers(self) -> bool:
        """Whether it is an answer that ended by itself or at its greatest length."""
        return self.state.whole

    def below(self) -> Iterator[_Node]:
        """This node and all behind it."""
        yield self
        for child in self.children:
            yield from child.below()


def _node(parent: Candidate, one: Candidate) -> _Node:
    """The node of a step, as likely as its tokens are on average."""
    tokens = max(1, one.tokens - parent.tokens)
    return _Node(one, math.exp((one.log_probability - parent.log_probability) / tokens))


def _unfinished(root: _Node) -> Found:
    """Where nothing has ended, the longest of the beginnings that were not gone on from."""
    begun = [one.state for one in root.below() if not one.children]
    best = leading(begun, [one.likelihood for one in begun])
    return Found(begun[best], tuple(begun), pruned=tuple(root.twins))


def _back_up(path: list[_Node], value: float) -> None:
    for node in path:
        node.total += value
        node.visits += 1


def _close(path: list[_Node]) -> None:
    """Close every node of a path all of whose children are closed, from its end on."""
    for node in reversed(path):
        node.closed = all(child.closed for child in node.children)

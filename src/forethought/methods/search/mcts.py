"""Grow a tree of steps where values and likelihood promise most, and walk down its best branch.

Paper: AlphaMath, arXiv:2405.03553 (PUCT selection, values instead of rollouts)
Exact: with n=1, and where all steps score alike, it is the plain answer, step by step.
Cost: n steps and n scores an iteration, and one answer more where the best branch has none;
    steps share the cache of what stands before them.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
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
    Until,
    group,
    score,
    write,
)
from forethought.methods.search._answers import cut, leading
from forethought.methods.search._steps import twins
from forethought.numerics.votes import Tally

SAME = 1e-9
"""Mean values that differ by less are the same: they are sums in another order."""


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
        """Expand the end of a path and back up what that is worth; whether the budget is spent."""
        leaf = path[-1]
        until: Until = "end" if len(path) >= self.depth else "step"
        drawn = yield from write([leaf.state] * self.n, until=until, delimiter=self.delimiter)
        pairs = list(zip(drawn, twins(drawn), strict=True))
        leaf.children = [_node(leaf.state, one) for one, twin in pairs if not twin]
        root.twins += [one for one, twin in pairs if twin]
        yield from _evaluated(leaf)
        _back_up(path, leaf.value)
        for child in leaf.children:
            if child.answers:
                _back_up([*path, child], child.value)
        _close(path)
        return cut(drawn)

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
        """Write the first of the branches that are read out to its end, where it has none.

        Where none has an answer that is the best; else one that is worth as much as the best of
        those that have: scores that are all the same choose nothing.
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
        """Down from the root by mean value, along branches that have an answer."""
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

    @property
    def worth(self) -> float:
        """What it is read out by: its mean, or its own value where nothing was backed up."""
        return self.mean if self.visits else self.value

    @property
    def found(self) -> bool:
        """Whether there is an answer, here or behind it."""
        return any(node.answers for node in self.below())

    @property
    def ways(self) -> list[_Node]:
        """Its children that have an answer; all of them where none has."""
        return [child for child in self.children if child.found] or self.children

    def below(self) -> Iterator[_Node]:
        """This node and all behind it."""
        yield self
        for child in self.children:
            yield from child.below()


def _node(parent: Candidate, one: Candidate) -> _Node:
    """The node of a step, as likely as its tokens are on average."""
    tokens = one.scored_tokens - parent.scored_tokens or one.tokens - parent.tokens
    return _Node(one, math.exp((one.log_probability - parent.log_probability) / max(1, tokens)))


def _evaluated(leaf: _Node) -> Generator[Ask, Any, None]:
    """Give the children their values; what the budget cut short has its parent's, and is closed."""
    judged = [child for child in leaf.children if child.state.finish != "budget"]
    values = (yield from score([child.state for child in judged])) if judged else []
    for child in leaf.children:
        child.value, child.closed = leaf.value, child.state.done
    for child, value in zip(judged, values, strict=True):
        child.value = 2 * value - 1


def _unfinished(root: _Node) -> Found:
    """Where nothing has ended, the longest of the beginnings that were not gone on from."""
    begun = [replace(one.state, finish="budget") for one in root.below() if not one.children]
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

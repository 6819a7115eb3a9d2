"""Random Bayes nets over binary variables, and exact inference in them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from random import Random

import numpy as np

Edge = tuple[int, int]
"""A parent and its child."""
Values = dict[int, int]
"""Variables and their values, 0 or 1."""


@dataclass(frozen=True)
class Net:
    """An acyclic graph of variables, with a probability of 1 for all values of the parents."""

    parents: tuple[tuple[int, ...], ...]
    """The parents of each variable."""
    tables: tuple[tuple[float, ...], ...]
    """P(variable = 1) for each combination of parents; the last parent is the lowest bit."""

    @cached_property
    def joint(self) -> np.ndarray:
        """The probability of every assignment, [2] * variables."""
        count = len(self.parents)
        found = np.ones((2,) * count)
        for child, (parents, table) in enumerate(zip(self.parents, self.tables, strict=True)):
            ones = np.array(table).reshape((2,) * len(parents))
            both = np.stack([1 - ones, ones], axis=-1)
            order = np.argsort([*parents, child])
            shape = [2 if one in (*parents, child) else 1 for one in range(count)]
            found = found * both.transpose(order).reshape(shape)
        return found

    def probability(self, values: Values) -> float:
        """The probability that variables have these values."""
        place = tuple(values.get(one, slice(None)) for one in range(len(self.parents)))
        return float(self.joint[place].sum())

    def conditional(self, target: int, known: Values) -> float:
        """P(target = 1), given values that have a probability above 0."""
        return self.probability({**known, target: 1}) / self.probability(known)

    def information(self, one: int, other: int) -> float:
        """The mutual information of two variables, in nats."""
        rest = tuple({*range(len(self.parents))} - {one, other})
        pair = self.joint.sum(axis=rest)
        apart = np.outer(pair.sum(axis=1), pair.sum(axis=0))
        seen = pair > 0
        return float((pair[seen] * np.log(pair[seen] / apart[seen])).sum())

    def sample(self, random: Random) -> Values:
        """One draw of all variables."""
        values = Values()
        while len(values) < len(self.parents):
            for child, parents in enumerate(self.parents):
                if child not in values and {*parents} <= values.keys():
                    row = sum(values[one] << at for at, one in enumerate(reversed(parents)))
                    values[child] = int(random.random() < self.tables[child][row])
        return values

    def near(self, centre: int, hops: int) -> set[int]:
        """The variables within so many edges, in any direction, centre included."""
        return _reached({frozenset(edge) for edge in self.edges}, {centre}, hops)

    @property
    def edges(self) -> list[Edge]:
        """Every parent with its child."""
        return [(one, child) for child, parents in enumerate(self.parents) for one in parents]


def random_net(random: Random, nodes: int) -> Net:
    """As many edges as variables between random pairs; probabilities of children near 0 or 1."""
    while True:
        pairs = random.sample([*combinations(range(nodes), 2)], nodes)
        edges = [pair if random.random() < 0.5 else (pair[1], pair[0]) for pair in pairs]
        parents = tuple(
            tuple(sorted(one for one, other in edges if other == child)) for child in range(nodes)
        )
        if _acyclic(parents):
            return Net(parents, tuple(_table(random, len(one)) for one in parents))


def separating(net: Net, target: int, condition: int) -> list[int]:
    """A smallest set of variables that separates two others, by distance from the condition.

    It cuts the moralised graph of both and their ancestors; empty if they are not connected.
    """
    kept = _ancestors(net, {target, condition})
    families = [{child, *net.parents[child]} for child in kept]
    links = {frozenset(pair) for family in families for pair in combinations(family, 2)}
    others = sorted(kept - {target, condition})
    cuts = (cut for size in range(len(others) + 1) for cut in combinations(others, size))
    cut = next(cut for cut in cuts if target not in _reached(_without(links, cut), {condition}))
    return sorted(cut, key=lambda one: (_distance(links, condition, one), one))


def _table(random: Random, parents: int) -> tuple[float, ...]:
    if not parents:
        return (random.random(),)
    return tuple(random.betavariate(0.2, 0.2) for _ in range(1 << parents))


def _acyclic(parents: tuple[tuple[int, ...], ...]) -> bool:
    done = set[int]()
    for _ in parents:
        done |= {child for child, above in enumerate(parents) if {*above} <= done}
    return len(done) == len(parents)


def _ancestors(net: Net, of: set[int]) -> set[int]:
    """These variables and everything above them."""
    found = of | {parent for child in of for parent in net.parents[child]}
    return found if found == of else _ancestors(net, found)


def _without(links: set[frozenset[int]], cut: tuple[int, ...]) -> set[frozenset[int]]:
    return {link for link in links if not link & {*cut}}


def _reached(links: set[frozenset[int]], start: set[int], hops: int | None = None) -> set[int]:
    """The nodes within so many links of the start; of any number by default."""
    found = set(start)
    while hops is None or hops > 0:
        more = found.union(*(link for link in links if link & found))
        if more == found:
            break
        found, hops = more, None if hops is None else hops - 1
    return found


def _distance(links: set[frozenset[int]], start: int, end: int) -> int:
    """The links between two connected nodes."""
    hops = 0
    while end not in _reached(links, {start}, hops):
        hops += 1
    return hops

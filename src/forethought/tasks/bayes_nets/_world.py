"""A world to learn about: a net, a pair of variables, and observations that never show the pair."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from random import Random
from statistics import fmean
from typing import Literal

from forethought.tasks.bayes_nets._net import Net, Values, random_net

Experience = Literal["local", "full", "wrong"]

_NETS = 10
"""Nets drawn for one world; the paper keeps a tenth of its nets too."""
_PAIRS = 4
"""Pairs of most mutual information that are not adjacent; half of them are held out."""
_RAREST = 0.05
"""Least probability of the condition that is asked about."""


@dataclass(frozen=True)
class World:
    """A net and the query about it."""

    net: Net
    other: Net
    """A net of the same size, for neighbourhoods that are wrong."""
    held_out: tuple[frozenset[int], ...]
    """Pairs that no observation shows together."""
    target: int
    condition: int
    value: int
    """The value of the condition."""

    @property
    def truth(self) -> float:
        """P(target = 1) given the condition."""
        return self.net.conditional(self.target, {self.condition: self.value})

    @property
    def marginal(self) -> float:
        """P(target = 1) without the condition."""
        return self.net.conditional(self.target, {})


def world(random: Random, nodes: int) -> World:
    """A net whose held-out pairs depend on each other most, and a query about one of them."""
    nets = [random_net(random, nodes) for _ in range(_NETS)]
    net = max(nets, key=lambda one: fmean(one.information(*pair) for pair in _pairs(one)))
    held_out = random.sample(_pairs(net), _PAIRS // 2)
    target, condition = random.sample(held_out[0], 2)
    value = random.randint(0, 1)
    if net.probability({condition: value}) < _RAREST:
        value = 1 - value
    other = next(one for one in nets if one is not net)
    return World(net, other, tuple(map(frozenset, held_out)), target, condition, value)


def observations(random: Random, seen: World, experience: Experience) -> Iterator[Values]:
    """Draws of the net, of which each shows some variables, in the order in which it shows them."""
    while True:
        values = seen.net.sample(random)
        shown = [one for one in _visible(random, seen, experience) if random.random() >= 0.2]
        random.shuffle(shown)
        for pair in seen.held_out:
            if pair <= {*shown}:
                shown.remove(random.choice(sorted(pair)))
        if shown:
            yield {one: values[one] for one in shown}


def _visible(random: Random, seen: World, experience: Experience) -> list[int]:
    """All variables, or those near a random one in the net or in the wrong net."""
    nodes = len(seen.net.parents)
    if experience == "full":
        return [*range(nodes)]
    net = seen.net if experience == "local" else seen.other
    hops = 1
    while random.random() < 0.5:
        hops += 1
    return sorted(net.near(random.randrange(nodes), hops))


def _pairs(net: Net) -> list[tuple[int, int]]:
    """The pairs of most mutual information among those that are not adjacent."""
    adjacent = {frozenset(edge) for edge in net.edges}
    pairs = combinations(range(len(net.parents)), 2)
    apart = [pair for pair in pairs if frozenset(pair) not in adjacent]
    return sorted(apart, key=lambda pair: -net.information(*pair))[:_PAIRS]

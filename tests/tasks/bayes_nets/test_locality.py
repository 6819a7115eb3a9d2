"""Probabilities are found again by enumeration in plain loops, separation by paths."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, islice, product
from math import log, sqrt
from random import Random
from typing import Any

import pytest

from forethought import catalogue
from forethought.contracts.errors import BadParameterError
from forethought.contracts.questions import Question
from forethought.tasks.bayes_nets._net import Net, Values, random_net, separating
from forethought.tasks.bayes_nets._world import World, observations, world

NODES = 7


def nets(count: int = 12) -> list[Net]:
    return [random_net(Random(seed), NODES) for seed in range(count)]


def asked(spelling: str) -> tuple[Any, list[Question]]:
    task = catalogue.build(spelling, "tasks")
    return task, list(task.questions(len))


def assignments(net: Net) -> Iterator[tuple[Values, float]]:
    """Every assignment with its probability, a factor at a time."""
    for bits in product((0, 1), repeat=len(net.parents)):
        probability = 1.0
        for child, parents in enumerate(net.parents):
            row = int("".join(str(bits[one]) for one in parents) or "0", 2)
            one = net.tables[child][row]
            probability *= one if bits[child] else 1 - one
        yield dict(enumerate(bits)), probability


def summed(net: Net, known: Values) -> float:
    return sum(p for values, p in assignments(net) if known.items() <= values.items())


def test_probabilities_are_those_of_enumeration() -> None:
    for net in nets(6):
        assert net.probability({}) == pytest.approx(1)
        for known in ({0: 1}, {2: 0, 5: 1}, {1: 1, 3: 0, 6: 1}):
            assert net.probability(known) == pytest.approx(summed(net, known), abs=1e-12)
        expected = summed(net, {4: 1, 2: 1}) / summed(net, {2: 1})
        assert net.conditional(4, {2: 1}) == pytest.approx(expected)


def test_mutual_information_is_that_of_its_definition() -> None:
    for net in nets(4):
        found = 0.0
        for one, other in product((0, 1), repeat=2):
            both = summed(net, {0: one, 3: other})
            if both > 0:
                found += both * log(both / summed(net, {0: one}) / summed(net, {3: other}))
        assert net.information(0, 3) == net.information(3, 0) == pytest.approx(found, abs=1e-9)


def test_nets_have_as_many_edges_as_variables_and_no_cycle() -> None:
    flipped = 0
    for net in nets(40):
        assert len({*net.edges}) == len(net.edges) == NODES
        assert not any((child, parent) in net.edges for parent, child in net.edges)
        flipped += sum(parent > child for parent, child in net.edges)
        ways = [[edge[0], edge[1]] for edge in net.edges]
        for way in ways:  # grows until every path has ended
            assert len({*way}) == len(way)
            ways += [[*way, child] for parent, child in net.edges if parent == way[-1]]

    # Half of 280 edges, within four standard deviations; acyclicity favours neither direction.
    assert abs(flipped - 140) < 4 * sqrt(280) / 2


def paths(net: Net, start: int, end: int) -> Iterator[list[int]]:
    """All simple paths along edges in any direction."""
    ways = [[start]]
    while ways:
        way = ways.pop()
        if way[-1] == end:
            yield way
            continue
        for one, other in net.edges:
            for a, b in ((one, other), (other, one)):
                if a == way[-1] and b not in way:
                    ways.append([*way, b])


def below(net: Net, one: int) -> set[int]:
    return {one}.union(*(below(net, child) for parent, child in net.edges if parent == one))


def blocked(net: Net, way: list[int], known: set[int]) -> bool:
    for before, at, after in zip(way, way[1:], way[2:], strict=False):
        collides = (before, at) in net.edges and (after, at) in net.edges
        if collides != bool(below(net, at) & known if collides else at in known):
            return True
    return False


def separates(net: Net, one: int, other: int, known: set[int]) -> bool:
    return all(blocked(net, way, known) for way in paths(net, one, other))


def test_the_scaffold_separates_the_pair_and_no_smaller_set_does() -> None:
    sizes = set()
    for net in nets(25):
        for target, condition in combinations(range(NODES), 2):
            if {(target, condition), (condition, target)} & {*net.edges}:
                continue
            found = separating(net, target, condition)
            sizes.add(len(found))
            assert separates(net, target, condition, {*found})
            others = {*range(NODES)} - {target, condition}
            for fewer in combinations(others, len(found) - 1) if found else ():
                assert not separates(net, target, condition, {*fewer})

    assert {0, 1, 2} <= sizes


def test_exact_inference_along_the_scaffold_gives_the_conditional() -> None:
    for seed in range(8):
        seen = world(Random(seed), NODES)
        net, known = seen.net, {seen.condition: seen.value}
        scaffold = separating(net, seen.target, seen.condition)
        total = 0.0
        for values in product((0, 1), repeat=len(scaffold)):
            named = dict(zip(scaffold, values, strict=True))
            given = net.probability({**named, **known}) / net.probability(known)
            total += given * net.conditional(seen.target, named) if given else 0.0
        assert total == pytest.approx(seen.truth, abs=1e-9)


def test_the_scaffold_begins_near_the_condition() -> None:
    table = (0.1, 0.9)
    chain = Net(((), (0,), (1,), (2,)), ((0.5,), table, table, table))
    wide = Net(((), (0,), (0,), (1, 2), (3,)), ((0.5,), table, table, (*table, *table), table))

    assert separating(chain, 3, 0) == [1]
    assert separating(chain, 0, 3) == [1]
    assert separating(wide, 3, 0) == [1, 2]
    assert separating(wide, 4, 0) == [3]


def test_the_pair_depends_on_each_other_and_is_not_adjacent() -> None:
    for seed in range(10):
        seen = world(Random(seed), NODES)
        edges = {frozenset(edge) for edge in seen.net.edges}
        assert seen.held_out[0] == {seen.target, seen.condition}
        assert not edges & {*seen.held_out}
        assert seen.net.probability({seen.condition: seen.value}) >= 0.05
        known = {seen.condition: seen.value}
        assert seen.truth == pytest.approx(
            summed(seen.net, {**known, seen.target: 1}) / summed(seen.net, known)
        )
        assert seen.marginal == pytest.approx(summed(seen.net, {seen.target: 1}))


def drawn(seen: World, experience: Any, count: int) -> list[Values]:
    return [*islice(observations(Random(1), seen, experience), count)]


@pytest.mark.parametrize("experience", ["local", "full", "wrong"])
def test_no_observation_shows_a_held_out_pair(experience: str) -> None:
    seen = world(Random(3), NODES)
    lines = drawn(seen, experience, 600)

    for pair in seen.held_out:
        assert not any(pair <= line.keys() for line in lines)
        assert all(any(one in line for line in lines) for one in pair)


def test_local_observations_are_of_neighbours() -> None:
    seen = world(Random(5), 12)
    edges = {frozenset(edge) for edge in seen.net.edges}

    def adjacent_share(experience: str) -> float:
        pairs = [
            frozenset(pair)
            for line in drawn(seen, experience, 800)
            for pair in combinations(line, 2)
        ]
        return sum(pair in edges for pair in pairs) / len(pairs)

    assert adjacent_share("local") > 1.3 * adjacent_share("full")
    assert adjacent_share("local") > 1.3 * adjacent_share("wrong")


def test_full_observations_have_the_probabilities_of_the_net() -> None:
    seen = world(Random(2), NODES)
    lines = drawn(seen, "full", 3000)

    free = {*range(NODES)}.difference(*seen.held_out)
    for one in free:  # a fifth is dropped; four standard deviations of 3,000
        assert abs(sum(one in line for line in lines) / 3000 - 0.8) < 4 * 0.4 / sqrt(3000)
    for one, other in seen.net.edges:
        both = [line[one] * line[other] for line in lines if {one, other} <= line.keys()]
        expected = seen.net.probability({one: 1, other: 1})
        # Four and a half standard deviations of a share, for seven of them.
        assert abs(sum(both) / len(both) - expected) < 4.5 * 0.5 / sqrt(len(both))


def test_the_radius_of_a_neighbourhood_is_geometric() -> None:
    chain = Net(((), *((one,) for one in range(11))), ((0.5,), *[(0.1, 0.9)] * 11))
    sizes = [*map(len, drawn(World(chain, chain, (), 0, 11, 1), "local", 4000))]
    near = [len(chain.near(centre, hops)) for hops in range(1, 30) for centre in range(12)]
    law = [0.5**hops / 12 for hops in range(1, 30) for _ in range(12)]
    shown = sum(weight * 0.8 * size for weight, size in zip(law, near, strict=True))
    some = sum(weight * (1 - 0.2**size) for weight, size in zip(law, near, strict=True))

    # The standard deviation of a size is below 2.5, so that of the mean is below 0.04.
    assert abs(sum(sizes) / 4000 - shown / some) < 0.16


def test_neighbourhoods_grow_hop_by_hop() -> None:
    chain = Net(((), (0,), (1,), (2,)), ((0.5,), (0.1, 0.9), (0.1, 0.9), (0.1, 0.9)))

    assert [chain.near(0, hops) for hops in (0, 1, 2, 9)] == [{0}, {0, 1}, {0, 1, 2}, {0, 1, 2, 3}]
    assert chain.near(2, 1) == {1, 2, 3}


def test_answers_score_by_their_squared_error() -> None:
    task, (question,) = asked("locality(count=1)")
    right, marginal = question.data["conditional"], question.data["marginal"]
    by_marginal = replace(task, score="marginal")

    assert task.check(question, f"Answer: {right:.9f}") == pytest.approx(1)
    assert by_marginal.check(question, f"Answer: {marginal:.9f}") == pytest.approx(1)
    expected = 1 - (right - marginal) ** 2
    assert task.check(question, f"Answer: {marginal:.9f}") == pytest.approx(expected)
    assert by_marginal.check(question, f"Answer: {right:.9f}") == pytest.approx(expected)
    for same in ("0.25", "25 %", ".25", "P(X1=1) = 0.25", "**0.25**", "≈ 0.25", "1\nAnswer: 25%"):
        assert task.check(question, f"X3=1\nAnswer: {same}") == 1 - (right - 0.25) ** 2, same
    assert task.check(question, " 0.25\n") == 1 - (right - 0.25) ** 2


UNREADABLE = [
    "Perhaps 0.5",
    "X1=1\n0.5",
    "Answer:",
    "Answer: maybe",
    "Answer: 1.5",
    "Answer: 120%",
    "Answer: -0.5",
    "Answer: 0.5 or 0.6",
    "Answer: 1/2",
]


@pytest.mark.parametrize("wrong", UNREADABLE)
def test_an_answer_without_a_probability_is_unreadable(wrong: str) -> None:
    task, (question,) = asked("locality(count=1)")

    assert task.check(question, wrong) == replace(task, score="parsed").check(question, wrong) == 0
    assert replace(task, score="parsed").check(question, "Answer: 0.9") == 1


def test_settings_change_the_words_but_not_the_query() -> None:
    _, plain = asked("locality(count=3)")
    for settings in ("steps=scaffold", "steps=irrelevant", "steps=free", "experience=full"):
        _, others = asked(f"locality(count=3, {settings})")
        assert [one.data for one in others] == [one.data for one in plain]
        assert all(a.asked != b.asked for a, b in zip(others, plain, strict=True))
    named = {}
    for steps in ("scaffold", "irrelevant"):
        _, questions = asked(f"locality(count=3, steps={steps})")
        named[steps] = [re.search(r"each of (.*?):", one.text) for one in questions]
        assert [one.document for one in questions] == [one.document for one in plain]
    for one, other in zip(named["scaffold"], named["irrelevant"], strict=True):
        assert one is not None
        assert other is not None
        first, second = one[1].split(", "), other[1].split(", ")
        assert len(first) == len(second)
        assert not {*first} & {*second}


def test_documents_show_as_many_lines_as_asked_and_never_the_pair() -> None:
    _, questions = asked("locality(count=4, lines=40)")
    for question in questions:
        condition, target = re.findall(r"(X\d+) is", question.text)
        lines = question.document.split("\n")
        assert len(lines) == 40
        assert all(re.fullmatch(r"X\d=[01](, X\d=[01])*", line) for line in lines)
        assert not any({condition, target} <= {*re.findall(r"X\d", line)} for line in lines)


def test_more_questions_keep_the_first_ones_and_seeds_differ() -> None:
    _, few = asked("locality(count=2)")
    _, many = asked("locality(count=3)")
    _, other = asked("locality(count=2, seed=1)")

    assert many[:2] == few
    assert not {one.document for one in few} & {one.document for one in other}
    with pytest.raises(BadParameterError, match="nodes=40 must be 5 to 16"):
        asked("locality(nodes=40)")

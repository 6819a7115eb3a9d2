"""Parallel tempering on laws whose every probability is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from forethought.contracts.search import Write
from forethought.methods.search._particles import ALWAYS, ParticleSet, grow, traded
from forethought.methods.search.majority_vote import MajorityVote
from forethought.methods.search.parallel_tempering import ParallelTempering
from forethought.methods.search.particle_gibbs import ParticleGibbs
from forethought.numerics.resampling import swap_chance
from tests.driver.searches import searched
from tests.methods.search.by_hand import (
    Hand,
    distance,
    driven,
    liking,
    ranked,
    tokens_of,
    uneven,
    weighted,
)
from tests.methods.search.test_particle_gibbs import exactly, reference_of


def method(**settings):
    return ParallelTempering(**{"delimiter": "\n", **settings})


class Fixed:
    def __init__(self, value):
        self.value = value

    def random(self):
        return self.value


def test_equal_weights_and_equal_temperatures_always_trade():
    assert swap_chance(1.5, 1.5, 1.0, 4.0) == 1
    assert swap_chance(3.0, -2.0, 2.0, 2.0) == 1
    # The heavier goes to the colder chain for sure, and leaves it by chance.
    assert swap_chance(0.0, 1.0, 1.0, 4.0) == 1
    assert swap_chance(1.0, 0.0, 1.0, 4.0) == pytest.approx(math.exp(-0.75))
    assert swap_chance(900.0, -900.0, 1.0, 1000.0) == 0


def test_trading_is_in_balance_with_both_laws():
    weights = {"x": math.log(0.2), "y": math.log(5.0)}
    for a, b in [("x", "y"), ("y", "x")]:
        there = math.exp(weights[a] / 1.0 + weights[b] / 3.0)
        back = math.exp(weights[b] / 1.0 + weights[a] / 3.0)
        assert there * swap_chance(weights[a], weights[b], 1.0, 3.0) == pytest.approx(
            back * swap_chance(weights[b], weights[a], 1.0, 3.0)
        )


def test_neighbours_trade_by_their_whole_weight():
    good, bad = reference_of(("a\n", "a\n", "")), reference_of(("b\n", "b\n", ""))
    assert traded([bad, good], (1.0, 4.0), "steps", Fixed(0.999)) == [good, bad]
    gap = good.log_weight("steps") - bad.log_weight("steps")
    chance = math.exp(-0.75 * gap)
    assert traded([good, bad], (1.0, 4.0), "steps", Fixed(chance * 1.001)) == [good, bad]
    assert traded([good, bad], (1.0, 4.0), "steps", Fixed(chance * 0.999)) == [bad, good]
    # Step by step through three chains, what is good goes down one place at a time.
    assert traded([bad, bad, good], (1.0, 2.0, 4.0), "answer", Fixed(0.999))[1] == good


def test_temperatures_rise_from_one_in_equal_ratios():
    assert method(chains=3, hottest=4.0).temperatures == pytest.approx((1, 2, 4))
    assert method(chains=1).temperatures == (1.0,)


def test_one_chain_is_particle_gibbs():
    for seed in range(6):
        one = driven(method(n=3, chains=1, iterations=3), uneven, seed=seed).found
        gibbs = ParticleGibbs(n=3, iterations=3, delimiter="\n")
        assert one == driven(gibbs, uneven, seed=seed).found


def test_one_particle_in_one_chain_is_the_plain_answer():
    best = driven(method(n=1, chains=1), uneven, seed=4).found.best
    plain = searched(MajorityVote(n=1), uneven, seed=4).found.best
    assert best.text == plain.text


def test_each_chain_keeps_its_own_law():
    temperatures = (1.0, 4.0)
    laws = [weighted(ranked, liking, "answer", one)[0] for one in temperatures]
    ends = [[], []]
    for seed in range(500):
        rng = np.random.default_rng(seed)
        kept = [
            exactly(ranked, "answer", 2 * seed + place, heat)
            for place, heat in enumerate(temperatures)
        ]
        sets = [
            ParticleSet([one.at(0)] * 3, heat, one)
            for one, heat in zip(kept, temperatures, strict=True)
        ]
        Hand(ranked, seed=seed).run(grow(method(target="answer"), sets, ALWAYS, rng))
        kept = traded([one.draw(rng) for one in sets], temperatures, "answer", rng)
        for end, one in zip(ends, kept, strict=True):
            end.append(one.here.text)
    # 500 exact draws of four answers are at a mean distance of 0.023.
    assert distance(ends[0], laws[0]) < 0.04
    assert distance(ends[1], laws[1]) < 0.04
    assert distance(ends[0], laws[1]) > 0.1


def test_chains_are_written_together_and_only_the_first_counts():
    hand = Hand(uneven, seed=2)
    found = hand.search(method(n=3, chains=2, iterations=2, pick="draw"))
    starts = [
        sum(not one.path for one in ask.parents) for ask in hand.asks if isinstance(ask, Write)
    ]
    assert [count for count in starts if count] == [6, 4]
    assert sum(found.weights) == pytest.approx(1)
    hot = [
        weight
        for one, weight in zip(found.considered, found.weights, strict=True)
        if one.path[0] in (3, 4, 5)
    ]
    assert hot
    assert hot.count(0) >= len(hot) - 1  # only one that was traded may count


def test_the_best_score_of_any_chain_may_be_picked():
    for seed in range(5):
        found = Hand(uneven, seed=seed).search(method(n=2, pick="best"))
        assert liking(found.best.text) == max(liking(one.text) for one in found.considered)


@pytest.mark.parametrize("budget", [3, 20, 40])
def test_a_budget_ends_it_and_nothing_is_lost(budget):
    settings = method(n=2, chains=2, iterations=2)
    done = driven(settings, uneven, seed=3, budget=f"{budget}tok")
    assert done.cost.output_tokens <= budget
    assert tokens_of(done.found) == done.cost.output_tokens


def test_a_draw_comes_close_to_the_posterior():
    exact, _ = weighted(ranked, liking, "answer")
    drawn = [
        Hand(ranked, seed=seed)
        .search(method(n=8, chains=2, iterations=4, target="answer", pick="draw"))
        .best.text
        for seed in range(400)
    ]
    # 400 exact draws are at a mean distance of 0.025.
    assert distance(drawn, exact) < 0.04

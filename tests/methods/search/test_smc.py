"""Sequential Monte Carlo on laws whose every probability is known."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from forethought.contracts.search import Candidate, Score, Write
from forethought.methods.search._particles import Particle, ParticleSet, grow
from forethought.methods.search.majority_vote import MajorityVote
from forethought.methods.search.smc import SMC
from tests.driver.searches import searched
from tests.fast_cases import fast_each
from tests.methods.search.by_hand import (
    Hand,
    distance,
    driven,
    liking,
    lines,
    odds,
    promising,
    ranked,
    tokens_of,
    uneven,
    weighted,
)


def method(**settings):
    return SMC(**{"delimiter": "\n", **settings})


@pytest.mark.parametrize("target", ["answer", "steps"])
@pytest.mark.parametrize("pick", ["vote", "best", "draw"])
def test_one_particle_is_the_plain_answer(target, pick):
    for seed in range(5):
        best = driven(method(n=1, target=target, pick=pick), uneven, seed=seed).found.best
        plain = searched(MajorityVote(n=1), uneven, seed=seed).found.best

        assert (best.text, best.tokens, best.finish) == (plain.text, plain.tokens, plain.finish)
        assert best.log_probability == pytest.approx(plain.log_probability)


@pytest.mark.parametrize("below", [0.5, 1.0])
def test_a_constant_score_leaves_n_plain_answers(below):
    for seed in range(5):
        done = driven(method(n=6, resample_below=below), uneven, lambda text: 0.5, seed=seed)
        plain = searched(MajorityVote(n=6), uneven, seed=seed).found.considered

        assert [one.text for one in done.found.considered] == [one.text for one in plain]
        assert done.found.weights == pytest.approx([1 / 6] * 6)
        assert not done.found.pruned


@pytest.mark.parametrize(
    ("law", "target", "below"),
    fast_each(3, itertools.product([ranked, uneven], ["answer", "steps"], [0.3, 1.0])),
)
def test_weights_follow_the_exact_posterior(law, target, below):
    exact, _ = weighted(law, liking, target)
    runs, seen = 80, Counter()
    for seed in range(runs):
        found = Hand(law, seed=seed).search(method(n=48, target=target, resample_below=below))
        assert sum(found.weights) == pytest.approx(1)
        for one, weight in zip(found.considered, found.weights, strict=True):
            seen[one.text] += weight / runs
    # The bias of self-normalised weights is of the order of 1/48, and so is the noise.
    assert sum(abs(seen[text] - exact.get(text, 0)) for text in {*seen, *exact}) / 2 < 0.04


def test_a_draw_follows_the_exact_posterior():
    exact, _ = weighted(ranked, liking, "answer")
    drawn = [
        Hand(ranked, seed=seed).search(method(n=24, pick="draw")).best.text for seed in range(600)
    ]
    # Four answers in 600 draws: a mean distance of about 0.02.
    assert distance(drawn, exact) < 0.04


@pytest.mark.parametrize(
    ("target", "below"), fast_each(3, itertools.product(["answer", "steps"], [0.0, 1.0]))
)
def test_the_evidence_is_without_bias_even_for_few_particles(target, below):
    _, evidence = weighted(uneven, liking, target)
    estimates = []
    for seed in range(700):
        particle_set = ParticleSet([Particle((Candidate(),))] * 6)
        settings = method(target=target)
        Hand(uneven, seed=seed).run(
            grow(settings, [particle_set], below, np.random.default_rng(seed))
        )
        estimates.append(math.exp(particle_set.log_evidence))
    error = np.std(estimates) / math.sqrt(len(estimates))
    assert error < 0.04 * evidence
    assert abs(np.mean(estimates) - evidence) < 3.5 * error


def test_a_particle_gains_by_its_own_steps_and_nothing_once_it_ended():
    states = tuple(Candidate(path=(0,) * size) for size in range(4))
    particle = Particle(states, (0.2, 0.8, 0.5))
    gains = {
        target: [math.exp(particle.gain(step, target)) for step in range(1, 6)]
        for target in ("answer", "steps")
    }

    assert gains["steps"] == pytest.approx([odds(0.2), odds(0.8), 1, 1, 1])
    assert gains["answer"] == pytest.approx([odds(0.2), odds(0.8) / odds(0.2), 1 / odds(0.8), 1, 1])
    assert particle.log_weight("answer") == pytest.approx(math.log(odds(0.5)))
    assert particle.at(1) == Particle(states[:2], (0.2,))
    assert particle.at(9) == particle
    assert math.exp(particle.at(1).gain(1, "steps")) == pytest.approx(odds(0.2))
    assert particle.at(1).gain(2, "steps") == 0


def test_an_oracle_finds_what_any_of_n_finds_at_each_step():
    n, chance, count, runs = 3, 0.4, 2, 500
    hits = [
        Hand(lines(chance, count), promising, seed).search(method(n=n, resample_below=1.0))
        for seed in range(runs)
    ]
    rate = sum(promising(found.best.text) for found in hits) / runs
    expected = (1 - (1 - chance) ** n) ** count
    assert rate == pytest.approx(expected, abs=3.5 * math.sqrt(expected * (1 - expected) / runs))


def test_every_step_is_asked_in_the_same_way_and_nothing_twice():
    hand = Hand(uneven, seed=3)
    hand.search(method(n=12, resample_below=1.0))
    writes = [ask for ask in hand.asks if isinstance(ask, Write)]
    scored = [one.path for ask in hand.asks if isinstance(ask, Score) for one in ask.candidates]

    assert len(writes) > 2
    assert {(ask.temperature, ask.delimiter, ask.until) for ask in writes} == {(None, "\n", "step")}
    assert not any(one.done for ask in writes for one in ask.parents)
    assert any(len(ask.parents) < 12 for ask in writes)
    assert len(set(scored)) == len(scored)


def test_the_last_step_runs_to_the_end():
    hand = Hand(uneven, seed=1)
    hand.search(method(n=4, depth=2))
    assert [ask.until for ask in hand.asks if isinstance(ask, Write)] == ["step", "end"]


def test_nothing_is_copied_once_all_is_written():
    found = Hand(lines(0.5, 2), seed=0).search(method(n=8, resample_below=0.0))
    assert len(found.considered) == 8
    assert not found.pruned
    # Copies would all weigh the same.
    gains = [odds(liking(one.text)) for one in found.considered]
    assert len({*gains}) > 1
    assert found.weights == pytest.approx([one / sum(gains) for one in gains])


def test_all_that_was_written_is_considered_or_given_up():
    for seed in range(6):
        done = driven(method(n=7, resample_below=1.0), uneven, seed=seed)
        assert tokens_of(done.found) == done.cost.output_tokens
        assert not {one.path for one in done.found.pruned} & {
            one.path for one in done.found.considered
        }


def test_the_answer_is_picked_as_asked():
    rule = {"a\na\n": 0.6, "a\nb\n": 0.5, "b\na\n": 0.5, "b\nb\n": 0.7}
    scored = {pick: [] for pick in ("vote", "best")}
    for seed in range(12):
        for pick, seen in scored.items():
            found = Hand(ranked, lambda text: rule.get(text, 0.5), seed).search(
                method(n=8, pick=pick)
            )
            totals = Counter()
            for one, weight in zip(found.considered, found.weights, strict=True):
                totals[one.text] += weight
            best = found.best.text
            seen.append(best)
            assert found.confidence == pytest.approx(totals[best] / sum(totals.values()))
            match pick:
                case "vote":
                    assert totals[best] == max(totals.values())
                case "best":
                    assert rule[best] == max(rule[text] for text in totals)
    assert scored["vote"] != scored["best"]


def test_an_answer_that_lost_its_copies_may_still_score_best():
    def law(question, text):
        nexts = {"": {"a": 0.5, "b": 0.5}, "b": {"\n": 1.0}, "b\n": {"c": 1.0}}
        return nexts.get(text, {"": 1.0})

    rule = {"a": 0.45, "b\n": 0.99, "b\nc": 0.1}
    lost = 0
    for seed in range(8):
        settings = method(n=6, pick="best", resample_below=1.0)
        found = Hand(law, rule.__getitem__, seed).search(settings)
        weights = dict(zip([one.text for one in found.considered], found.weights, strict=True))
        assert (found.best.text == "a") == ("a" in weights)
        lost += weights.get("a") == 0
    assert lost > 2


@pytest.mark.parametrize("budget", [1, 4, 7, 11, 18, 40, 80])
def test_a_budget_ends_it_and_whole_answers_come_first(budget):
    for seed in range(4):
        done = driven(method(n=5), uneven, seed=seed, budget=f"{budget}tok")
        found = done.found

        assert done.cost.output_tokens <= budget
        assert tokens_of(found) == done.cost.output_tokens
        assert found.best in found.considered
        every = (*found.considered, *found.pruned)
        whole = [one for one in every if one.finish == "stop"]
        assert found.best.finish == ("stop" if whole else "budget")
        assert {one.finish for one in found.considered} == {found.best.finish}


def test_what_the_budget_cut_short_is_not_scored():
    class Cutting(Hand):
        def child(self, parent, ask):
            grown = super().child(parent, ask)
            return replace(grown, finish="budget") if grown.path[0] else grown

    hand = Cutting(ranked, seed=2)
    hand.search(method(n=3))
    assert [one.path for ask in hand.asks if isinstance(ask, Score) for one in ask.candidates] == [
        (0,)
    ]

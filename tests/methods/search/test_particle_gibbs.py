"""Particle Gibbs on laws whose every probability is known."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np
import pytest

from forethought.contracts.search import Candidate, Piece, Score, Write
from forethought.methods.search._particles import ALWAYS, Particle, ParticleSet, grow
from forethought.methods.search.majority_vote import MajorityVote
from forethought.methods.search.particle_gibbs import ParticleGibbs
from tests.driver.searches import searched
from tests.methods.search.by_hand import (
    Hand,
    distance,
    driven,
    liking,
    lines,
    odds,
    ranked,
    tokens_of,
    uneven,
    weighted,
    written_out,
)


def method(**settings):
    return ParticleGibbs(**{"delimiter": "\n", **settings})


def reference_of(steps, child=90):
    """A particle that wrote these steps."""
    state = Candidate()
    states, scores = [state], []
    for at, text in enumerate(steps):
        finish = "stop" if at == len(steps) - 1 else "step"
        state = state.grown(child, Piece(text, (), len(text), 0.0, finish))
        states.append(state)
        scores.append(liking(state.text))
    return Particle(tuple(states), tuple(scores))


def exactly(law, target, seed, temperature=1.0):
    """A reference drawn from the exact posterior."""
    answers = {"".join(steps): steps for steps in written_out(law)}
    exact, _ = weighted(law, liking, target, temperature)
    text = random.Random(seed).choices(list(exact), exact.values())[0]
    return reference_of(answers[text])


@pytest.mark.parametrize("iterations", [1, 3])
def test_one_particle_is_the_plain_answer(iterations):
    for seed in range(5):
        best = driven(method(n=1, iterations=iterations), uneven, seed=seed).found.best
        plain = searched(MajorityVote(n=1), uneven, seed=seed).found.best
        assert (best.text, best.log_probability) == (
            plain.text,
            pytest.approx(plain.log_probability),
        )


@pytest.mark.parametrize(
    ("law", "target", "n"),
    [
        (ranked, "answer", 2),
        (uneven, "steps", 2),
        (ranked, "newest", 4),
        pytest.param(ranked, "newest", 2, marks=pytest.mark.slow),
        pytest.param(ranked, "answer", 4, marks=pytest.mark.slow),
        pytest.param(uneven, "steps", 4, marks=pytest.mark.slow),
    ],
)
def test_a_filter_beside_an_exact_draw_ends_in_one(law, target, n):
    # Answers of `ranked` have equally many steps, so the newest odds multiply to all steps' odds.
    stated = "steps" if target == "newest" else target
    exact, _ = weighted(law, liking, stated)
    drawn = []
    for seed in range(500):
        rng, reference = np.random.default_rng(seed), exactly(law, stated, seed)
        for again in range(2):
            particle_set = ParticleSet([reference] * n, reference=reference)
            particle_set.particles = [reference.at(0)] * n
            hand = Hand(law, seed=seed * 2 + again)
            hand.run(grow(method(target=target), [particle_set], ALWAYS, rng))
            reference = particle_set.draw(rng)
        drawn.append(reference.here.text)
    # 500 exact draws are at a mean distance of 0.023 (4 answers) and 0.028 (14).
    assert distance(drawn, exact) < 0.04


def test_what_is_kept_stands_unchanged_in_every_swarm():
    for seed in range(30):
        reference = reference_of(("a\n", "b\n", ""))
        particle_set = ParticleSet([reference.at(0)] * 3, reference=reference)
        hand = Hand(uneven, seed=seed)
        search = grow(method(), [particle_set], 1.0, np.random.default_rng(seed))
        hand.run(search)

        assert particle_set.particles[0] == reference
        assert all(one.here.done for one in particle_set.particles)
        writes = [ask for ask in hand.asks if isinstance(ask, Write)]
        assert len(writes[0].parents) == 2
        # Copies of what is kept grow on by themselves, from where it stood then.
        assert not any(one.done for ask in writes for one in ask.parents)


def test_what_is_kept_weighs_what_its_own_step_weighs():
    steps = ("a\n", "b\n", "a\n", "")
    reference = reference_of(steps)
    particle_set = ParticleSet([reference.at(0)], reference=reference)
    for step in range(1, 5):
        particle_set.weigh(step, "steps")
        assert particle_set.particles[0] == reference.at(step)
        assert particle_set.log_weights[0] == pytest.approx(
            sum(reference.gain(at, "steps") for at in range(1, step + 1))
        )
    particle_set.weigh(5, "steps")
    assert particle_set.log_weights[0] == pytest.approx(reference.log_weight("steps"))


def test_by_the_newest_score_what_is_kept_weighs_its_last_one_beyond_its_end():
    reference = reference_of(("a\n", "b\n", "a\n", ""))
    for step, at in [(1, 0), (2, 1), (3, 2), (4, 3), (5, 3), (9, 3)]:
        particle_set = ParticleSet([reference.at(0)], reference=reference)
        particle_set.weigh(step, "newest")
        assert particle_set.log_weights[0] == pytest.approx(math.log(odds(reference.scores[at])))


def test_what_is_kept_goes_into_the_next_iteration():
    for seed in range(8):
        hand = Hand(uneven, seed=seed)
        found = hand.search(method(n=3, iterations=4, pick="draw"))
        writes = [len(a.parents) for a in hand.asks if isinstance(a, Write) and () in paths(a)]
        scored = [one.path for a in hand.asks if isinstance(a, Score) for one in a.candidates]

        assert writes == [3, 2, 2, 2]
        assert len(set(scored)) == len(scored)
        assert sum(found.weights) == pytest.approx(1)
        assert len({one.path for one in found.considered}) == len(found.considered)
        assert found.best in found.considered


def paths(ask):
    return [one.path for one in ask.parents]


def test_copies_beside_what_is_kept_are_drawn_independently():
    rng, shares = np.random.default_rng(0), np.array([0.4, 0.3, 0.2, 0.1])
    particles = [Particle((Candidate(), Candidate((at,)))) for at in range(4)]
    counts = []
    for _ in range(3000):
        particle_set = ParticleSet(list(particles), reference=particles[0])
        particle_set.log_weights = np.log(shares)
        particle_set.resample(1.0, rng)
        assert particle_set.particles[0] == particles[0]
        counts.append([particle_set.particles[1:].count(one) for one in particles])
    # Three binomial draws each; four standard errors of their means are 0.062.
    assert np.mean(counts, axis=0) == pytest.approx(3 * shares, abs=0.062)
    assert np.var(counts, axis=0) == pytest.approx(3 * shares * (1 - shares), rel=0.1)


def test_a_draw_comes_close_to_the_posterior():
    exact, _ = weighted(ranked, liking, "answer")
    drawn = [
        Hand(ranked, seed=seed)
        .search(method(n=8, iterations=4, target="answer", pick="draw"))
        .best.text
        for seed in range(400)
    ]
    # 400 exact draws are at a mean distance of 0.025.
    assert distance(drawn, exact) < 0.04


def test_few_particles_come_closer_with_every_iteration():
    exact, _ = weighted(ranked, liking, "answer")
    drawn = [
        Hand(ranked, seed=seed)
        .search(method(n=3, iterations=7, target="answer", pick="draw"))
        .best.text
        for seed in range(300)
    ]
    once = [
        Hand(ranked, seed=seed)
        .search(method(n=3, iterations=1, target="answer", pick="draw"))
        .best.text
        for seed in range(300)
    ]
    assert distance(drawn, exact) < 0.08 < distance(once, exact)


def test_all_that_was_written_is_considered_or_given_up():
    for seed in range(6):
        done = driven(method(n=3, iterations=3), uneven, seed=seed)
        assert tokens_of(done.found) == done.cost.output_tokens


def test_the_answer_is_picked_as_asked():
    for seed in range(6):
        best = Hand(uneven, seed=seed).search(method(pick="best", iterations=3))
        assert liking(best.best.text) == max(liking(one.text) for one in best.considered)
        vote = Hand(uneven, seed=seed).search(method(pick="vote", iterations=3))
        assert vote.considered == best.considered
        totals = {}
        for one, weight in zip(vote.considered, vote.weights, strict=True):
            totals[one.text] = totals.get(one.text, 0) + weight
        assert totals[vote.best.text] == pytest.approx(vote.confidence)
        assert vote.confidence == pytest.approx(max(totals.values()))


@pytest.mark.parametrize("budget", [2, 9, 16, 22, 30, 38])
def test_a_budget_ends_it_and_whole_answers_come_first(budget):
    for seed in range(4):
        settings = method(n=3, iterations=3)
        done = driven(settings, uneven, seed=seed, budget=f"{budget}tok")
        assert done.cost.output_tokens <= budget
        assert tokens_of(done.found) == done.cost.output_tokens
        every = (*done.found.considered, *done.found.pruned)
        whole = any(one.finish == "stop" for one in every)
        assert done.found.best.finish == ("stop" if whole else "budget")


class Cutting(Hand):
    """The budget ends with every other answer of the second iteration."""

    def child(self, parent, ask):
        grown = super().child(parent, ask)
        late = sum(isinstance(one, Write) and () in paths(one) for one in self.asks) == 2
        return replace(grown, finish="budget") if late and grown.path[0] % 2 else grown


def test_an_iteration_that_was_cut_short_counts_for_nothing():
    found = Cutting(lines(0.5, 1), seed=1).search(method(n=5, iterations=3))
    early = [at for at, one in enumerate(found.considered) if one.path[0] < 5]

    # Five of the first, and of four more the two that were whole.
    assert len(found.considered) == 7
    assert [found.weights[at] for at in range(7) if at not in early] == [0, 0]
    assert sum(found.weights) == pytest.approx(1 / 3)
    assert [one.finish for one in found.pruned] == ["budget"] * 2


def test_a_draw_is_what_the_last_iteration_would_hand_on():
    # Where all weighs the same, one of the first iteration is handed on thrice in 1 of 27 runs.
    firsts = 0
    for seed in range(150):
        hand = Hand(lines(0.5, 1), lambda text: 0.5, seed)
        found = hand.search(method(n=3, iterations=4, pick="draw"))
        firsts += found.best.path[0] < 3
    assert 0 < firsts < 15


def test_what_ended_early_is_not_copied_while_another_swarm_grows():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        short = [reference_of(("a\n", text), child=at) for at, text in enumerate("abab")]
        begun = [one.at(1) for one in short]
        ended = ParticleSet(
            [one.grown(whole.here, whole.score) for one, whole in zip(begun, short, strict=True)]
        )
        ended.log_weights = np.array([0.0, -3.0, 0.0, -3.0])
        other = ParticleSet([Particle((Candidate(path=(9,)),))] * 2)
        Hand(uneven, seed=seed).run(grow(method(), [ended, other], 1.0, rng))

        assert other.done
        assert [one.here for one in ended.particles] == [one.here for one in short]
        assert not ended.dropped

"""The published particle filter against a slow enumeration of its law."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from itertools import product

import pytest

from forethought.backends.known import END
from forethought.contracts.search import Score, Write
from forethought.methods.search.majority_vote import MajorityVote
from forethought.methods.search.particle_filter import ParticleFilter
from forethought.methods.search.particle_gibbs import ParticleGibbs
from tests.driver.searches import searched
from tests.fast_cases import fast_each
from tests.methods.search.by_hand import (
    Hand,
    distance,
    driven,
    liking,
    lines,
    ranked,
    tokens_of,
    uneven,
)


def method(**settings):
    return ParticleFilter(**{"delimiter": "\n", **settings})


def steps_after(law, text):
    """Every step that may follow a text, whether it ends the answer, and its probability."""
    found = []

    def walk(piece, chance):
        for token, share in law("", text + piece).items():
            if token == END:
                found.append((text + piece, True, chance * share))
            elif "\n" in token:
                found.append((text + piece + token, False, chance * share))
            else:
                walk(piece + token, chance * share)

    walk("", 1.0)
    return found


def softmax(texts, rule):
    weights = [math.exp(math.log(rule(text) / (1 - rule(text)))) for text in texts]
    return [one / sum(weights) for one in weights]


def enumerated(law, rule, n, pick):
    """The law of the answer by the paper's algorithm: every draw of every step is written out.

    A swarm is a tuple of (text, ended).
    """
    swarms = stepped({(("", False),) * n: 1.0}, law)
    while any(not ended for swarm in swarms for _, ended in swarm):
        copied = defaultdict(float)
        for swarm, chance in swarms.items():
            if all(ended for _, ended in swarm):  # no resampling once all have ended
                copied[swarm] += chance
                continue
            shares = softmax([text for text, _ in swarm], rule)
            for ancestors in product(range(n), repeat=n):
                drawn = chance * math.prod(shares[at] for at in ancestors)
                copied[tuple(swarm[at] for at in ancestors)] += drawn
        swarms = stepped(copied, law)
    answers = defaultdict(float)
    for swarm, chance in swarms.items():
        texts = [text for text, _ in swarm]
        if pick == "draw":
            for text, share in zip(texts, softmax(texts, rule), strict=True):
                answers[text] += chance * share
        else:
            answers[max(texts, key=rule)] += chance
    return dict(answers)


def stepped(swarms, law):
    found = defaultdict(float)
    for swarm, chance in swarms.items():
        options = [
            [(text, True, 1.0)] if ended else steps_after(law, text) for text, ended in swarm
        ]
        for chosen in product(*options):
            grown = tuple((text, ended) for text, ended, _ in chosen)
            found[grown] += chance * math.prod(share for *_, share in chosen)
    return found


def test_its_defaults_are_those_of_the_authors_script():
    assert ParticleFilter() == ParticleFilter(
        n=4, temperature=0.8, pick="best", depth=40, delimiter="\n\n"
    )


def early(question, text):
    """One answer ends after a letter, the other goes on for four lines."""
    if text == "a" or text.count("\n") == 4:
        return {END: 1.0}
    if text and not text.endswith("\n"):
        return {"\n": 1.0}
    return {"c": 1.0} if text else {"a": 0.4, "b": 0.6}


def short(text):
    """A score that likes the short answer of `early`."""
    return 0.8 if text == "a" else 0.5


@pytest.mark.parametrize(
    ("law", "rule", "n"),
    fast_each(
        3, [(ranked, liking, 2), (ranked, liking, 3), (uneven, liking, 2), (early, short, 3)]
    ),
)
@pytest.mark.parametrize("pick", ["draw", "best"])
def test_answers_follow_the_published_law(law, rule, n, pick):
    exact = enumerated(law, rule, n, pick)
    assert sum(exact.values()) == pytest.approx(1)
    runs = 1200
    settings = method(n=n, pick=pick)
    found = [Hand(law, rule, seed).search(settings).best.text for seed in range(runs)]
    # As many exact draws are at a mean distance of sqrt(p / (2 pi runs)), summed over answers.
    noise = sum(math.sqrt(one / (2 * math.pi * runs)) for one in exact.values())
    assert distance(found, exact) < 2 * noise


@pytest.mark.parametrize("pick", ["vote", "best", "draw"])
def test_one_particle_is_the_plain_answer(pick):
    for seed in range(5):
        settings = {"seed": seed}
        best = driven(method(n=1, temperature=None, pick=pick), uneven, **settings).found.best
        plain = searched(MajorityVote(n=1), uneven, **settings).found.best

        assert (best.text, best.tokens, best.finish) == (plain.text, plain.tokens, plain.finish)


def test_a_constant_score_leaves_the_law_of_plain_answers():
    # Each particle is a plain answer; the copies make them depend on each other.
    plain = enumerated(uneven, lambda text: 0.5, 1, "draw")
    seen = [
        Hand(uneven, lambda text: 0.5, seed).search(method(n=4, pick="draw")).best.text
        for seed in range(600)
    ]
    # As many exact draws of 14 answers are at a mean distance of 0.05.
    assert distance(seen, plain) < 0.09


def test_it_resamples_at_every_step_even_if_all_weigh_the_same():
    copies = sum(
        bool(Hand(lines(0.5, 3), lambda text: 0.5, seed).search(method(n=4)).pruned)
        for seed in range(40)
    )
    # Four independent draws of four are all different in 3 of 32 steps.
    assert copies > 30


def test_finished_answers_compete_at_every_later_step():
    def law(question, text):
        nexts = {"": {"a": 0.5, "b\n": 0.5}, "a": {END: 1.0}}
        return nexts.get(text, {END: 1.0} if text.count("\n") == 4 else {"c\n": 1.0})

    rule = {"a": 0.8}
    # Once a short answer is there, it weighs 4 to 1 at each of three resamplings.
    ends = Counter(
        Hand(law, lambda text: rule.get(text, 0.5), seed).search(method(n=8, pick="draw")).best.text
        for seed in range(100)
    )
    assert ends["a"] > 95


def test_every_step_is_asked_at_its_temperature():
    hand = Hand(uneven, seed=3)
    hand.search(method(n=12))
    writes = [ask for ask in hand.asks if isinstance(ask, Write)]

    assert len(writes) > 2
    assert {(ask.temperature, ask.delimiter, ask.until) for ask in writes} == {(0.8, "\n", "step")}
    assert not any(one.done for ask in writes for one in ask.parents)
    scored = [one.path for ask in hand.asks if isinstance(ask, Score) for one in ask.candidates]
    assert len(set(scored)) == len(scored)


def test_the_answer_is_one_of_the_last_particles():
    lost = 0
    for seed in range(40):
        found = Hand(uneven, seed=seed).search(method(n=4))
        assert sum(found.weights) == pytest.approx(1)
        assert all(found.weights)
        assert liking(found.best.text) == max(liking(one.text) for one in found.considered)
        lost += any(one.done for one in found.pruned)
    assert lost > 5


@pytest.mark.parametrize("budget", [1, 4, 7, 11, 18, 40])
def test_a_budget_ends_it_and_whole_answers_come_first(budget):
    for seed in range(4):
        done = driven(method(n=5), uneven, seed=seed, budget=f"{budget}tok")
        found = done.found

        assert done.cost.output_tokens <= budget
        assert tokens_of(found) == done.cost.output_tokens
        every = (*found.considered, *found.pruned)
        whole = [one for one in every if one.finish == "stop"]
        assert found.best.finish == ("stop" if whole else "budget")


def test_particle_gibbs_of_one_iteration_is_the_filter():
    for seed in range(6):
        once = driven(ParticleGibbs(n=5, iterations=1, pick="draw", delimiter="\n"), uneven,
                      seed=seed)  # fmt: skip
        filtered = driven(method(n=5, pick="draw"), uneven, seed=seed)
        weights = [
            {
                one.path: weight
                for one, weight in zip(f.considered, f.weights, strict=True)
                if weight
            }
            for f in (once.found, filtered.found)
        ]
        assert weights[0] == weights[1]

"""Diverse verifier tree search on laws whose every probability is known."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pytest

from forethought.backends.known import END
from forethought.contracts.search import Candidate, Score, Scorer, Write
from forethought.methods.search.beam import Beam
from forethought.methods.search.dvts import DVTS
from forethought.methods.search.majority_vote import MajorityVote
from tests.driver.searches import searched
from tests.methods.search.by_hand import (
    Hand,
    driven,
    liking,
    lines,
    promising,
    tokens_of,
    uneven,
)


def method(**settings):
    return DVTS(**{"delimiter": "\n", "temperature": None, **settings})


def leaves(found, width):
    """The leaves of each tree, ended or not: the longest paths of each."""
    trees = {}
    for one in (*found.considered, *found.pruned):
        trees.setdefault(one.path[0] // width, []).append(one)
    deepest = {tree: max(len(one.path) for one in every) for tree, every in trees.items()}
    return {
        tree: [one for one in every if len(one.path) == deepest[tree]]
        for tree, every in sorted(trees.items())
    }


def test_one_tree_of_width_one_is_the_plain_answer():
    for seed in range(5):
        best = driven(method(trees=1, width=1), uneven, seed=seed).found.best
        plain = searched(MajorityVote(n=1), uneven, seed=seed).found.best
        assert (best.text, best.log_probability) == (
            plain.text,
            pytest.approx(plain.log_probability),
        )


def test_with_width_one_the_answers_are_plain_ones_in_order():
    for seed in range(5):
        found = driven(method(trees=6, width=1), uneven, seed=seed).found
        plain = searched(MajorityVote(n=6), uneven, seed=seed).found
        assert [one.text for one in found.considered] == [one.text for one in plain.considered]


def test_one_tree_is_the_best_of_its_width_at_every_step():
    for seed in range(8):
        tree = driven(method(trees=1, width=4), lines(0.3, 3), promising, seed=seed).found
        beam = Beam(n=4, width=4, delimiter="\n")
        assert tree.best == driven(beam, lines(0.3, 3), promising, seed=seed).found.best


def test_a_constant_score_gives_the_plain_answer():
    for seed in range(8):
        best = driven(method(trees=2, width=3), uneven, lambda text: 0.5, seed=seed).found.best
        assert best.text == searched(MajorityVote(n=1), uneven, seed=seed).found.best.text


def test_an_oracle_finds_what_any_tree_finds():
    runs, trees, width, chance, count = 500, 2, 2, 0.4, 2
    texts = [
        Hand(lines(chance, count), promising, seed)
        .search(method(trees=trees, width=width))
        .best.text
        for seed in range(runs)
    ]
    one = (1 - (1 - chance) ** width) ** count
    expected = 1 - (1 - one) ** trees
    found = sum(map(promising, texts)) / runs
    assert found == pytest.approx(expected, abs=3.5 * math.sqrt(expected * (1 - expected) / runs))


def test_the_first_trees_of_a_run_are_a_run_of_fewer_trees():
    for seed in range(5):
        many = driven(method(trees=5, width=3), uneven, seed=seed).found
        for trees in (1, 2, 4):
            few = driven(method(trees=trees, width=3), uneven, seed=seed).found
            first = [one for one in many.considered if one.path[0] < trees * 3]
            assert list(few.considered) == first
            given_up = {one for one in many.pruned if one.path[0] < trees * 3}
            assert set(few.pruned) == given_up


@dataclass(frozen=True)
class ByTree(Scorer):
    """Likes another letter in one tree than in the others."""

    odd: int

    def score(self, question, candidates):
        return [
            1 - liking(one.text) if one.path[0] // 3 == self.odd else liking(one.text)
            for one in candidates
        ]
        yield


def test_what_happens_in_one_tree_leaves_the_others_as_they_are():
    changed = 0
    for seed in range(4):
        every = [
            driven(method(trees=3, width=3), uneven, scorer=ByTree(odd), seed=seed).found
            for odd in (7, 1)
        ]
        plain, other = (leaves(found, 3) for found in every)
        assert plain[0] == other[0]
        assert plain[2] == other[2]
        changed += plain[1] != other[1]
    assert changed


def test_a_tree_ends_in_width_leaves_that_share_all_but_the_last_step():
    for seed in range(6):
        found = driven(method(trees=4, width=3), uneven, seed=seed).found
        for every in leaves(found, 3).values():
            assert len(every) == 3
            assert len({one.path[:-1] for one in every}) == 1
            # The kept leaf is the best of them, and has ended.
            top = max(liking(one.text) for one in every)
            kept = next(one for one in every if liking(one.text) == top)
            assert kept in found.considered
        # An answer that was worth less than a beginning beside it was given up.
        deepest = {one for every in leaves(found, 3).values() for one in every}
        assert set(found.considered) == {one for one in deepest if one.done}
        for one, weight in zip(found.considered, found.weights, strict=True):
            assert weight == liking(one.text)


def test_all_that_was_written_is_considered_or_given_up():
    for seed in range(5):
        done = driven(method(trees=3, width=2), uneven, seed=seed)
        assert tokens_of(done.found) == done.cost.output_tokens
        assert {one.finish for one in done.found.considered} == {"stop"}


def test_only_the_order_of_scores_matters():
    for seed in range(5):
        plain = driven(method(trees=2, width=3), uneven, seed=seed).found
        cubed = driven(method(trees=2, width=3), uneven, lambda t: liking(t) ** 3, seed=seed).found
        assert (cubed.considered, cubed.best) == (plain.considered, plain.best)


def test_the_vote_counts_scores():
    for seed in range(5):
        found = Hand(uneven, seed=seed).search(method(trees=4, width=2, pick="vote"))
        totals = {}
        for one, weight in zip(found.considered, found.weights, strict=True):
            totals[one.text] = totals.get(one.text, 0) + weight
        assert totals[found.best.text] == max(totals.values())


def test_steps_are_asked_alike_for_open_trees_alone():
    shrunk = 0
    for seed in range(6):
        hand = Hand(uneven, seed=seed)
        hand.search(method(trees=4, width=2, depth=3))
        writes = [ask for ask in hand.asks if isinstance(ask, Write)]
        assert [ask.until for ask in writes] == ["step", "step", "end"]
        assert {ask.temperature for ask in writes} == {None}
        assert not any(one.done for ask in writes for one in ask.parents)
        shrunk += len(writes[-1].parents) < 8
    assert shrunk


@pytest.mark.parametrize("budget", [1, 3, 6, 9, 14, 25, 60])
def test_a_budget_ends_it_and_whole_answers_come_first(budget):
    for seed in range(5):
        done = driven(method(trees=2, width=3), uneven, seed=seed, budget=f"{budget}tok")
        found = done.found
        assert done.cost.output_tokens <= budget
        assert tokens_of(found) == done.cost.output_tokens
        whole = any(one.finish == "stop" for one in (*found.considered, *found.pruned))
        assert found.best.finish == ("stop" if whole else "budget")
        assert found.best in found.considered


def published(step, score, trees, width, depth):
    """search-and-learn's loop on whole texts: `step` samples a step, "" for the end."""
    texts, leaves = [""] * trees, [[] for _ in range(trees)]
    growing = list(range(trees))
    for _ in range(depth):
        for tree in growing:
            steps = [step(tree, child, texts[tree]) for child in range(width)]
            leaves[tree] = [texts[tree] + one for one in steps]
            best = max(range(width), key=lambda child, tree=tree: score(leaves[tree][child]))
            texts[tree] = leaves[tree][best]
            if not steps[best] or "boxed{" in texts[tree]:
                growing = [other for other in growing if other != tree]
    return max((leaf for own in leaves for leaf in own), key=score)


@pytest.mark.parametrize("seed", range(12))
def test_the_answer_is_that_of_the_published_loop(seed):
    trees, width, lines_of = 3, 3, {}
    words = ("so 2\n", "then 3\n", "thus \\boxed{5}\n", "")
    drawn = np.random.default_rng(seed)

    def step(tree, child, text):
        return lines_of.setdefault((tree, text, child), str(drawn.choice(words)))

    def score(text):
        return random.Random(f"{seed}{text}").random()

    search = method(trees=trees, width=width, depth=30).search(Candidate(), drawn)
    reply = None
    try:
        while True:
            ask = search.send(reply)
            if isinstance(ask, Write):
                numbers = Counter()
                reply = []
                for parent in ask.parents:
                    number = numbers[parent.path, parent.text]
                    numbers[parent.path, parent.text] += 1
                    tree = parent.path[0] // width if parent.path else number // width
                    said = step(tree, number % width, parent.text)
                    reply.append(replace(
                        parent, path=(*parent.path, number), steps=(*parent.steps, said),
                        tokens=parent.tokens + 1, finish="" if said else "stop",
                    ))  # fmt: skip
            elif isinstance(ask, Score):
                reply = [score(one.text) for one in ask.candidates]
            else:
                reply = list(range(len(ask.candidates)))
    except StopIteration as stopped:
        found = stopped.value

    assert found.best.text == published(step, score, trees, width, 30)


def test_steps_have_the_published_temperature():
    hand = Hand(uneven)
    hand.search(DVTS(trees=2, width=2, delimiter="\n", depth=3))

    assert {ask.temperature for ask in hand.asks if isinstance(ask, Write)} == {0.8}


def test_a_result_in_a_box_ends_a_tree():
    later = {"": "It is \\boxed{7}.\n", "It is \\boxed{7}.\n": "To check: 3 + 4."}

    def boxed(question, text):
        return {later.get(text, END): 1.0}

    found = driven(method(trees=2, width=2), boxed, lambda text: 0.5).found
    assert found.best.text == "It is \\boxed{7}.\n"
    assert {one.finish for one in found.considered} == {"stop"}

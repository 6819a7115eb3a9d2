"""Beam search by steps, on laws whose every probability is known."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import replace

import pytest

from forethought.contracts.search import Candidate, Score, Write
from forethought.methods.search.beam import Beam
from forethought.methods.search.majority_vote import MajorityVote
from tests.driver.searches import searched
from tests.methods.search.by_hand import (
    Hand,
    driven,
    liking,
    lines,
    promising,
    ranked,
    tokens_of,
    uneven,
)


def method(**settings):
    return Beam(**{"delimiter": "\n", **settings})


@pytest.mark.parametrize("width", [1, 4])
def test_one_answer_is_the_plain_answer(width):
    for seed in range(5):
        best = driven(method(n=1, width=width), uneven, seed=seed).found.best
        plain = searched(MajorityVote(n=1), uneven, seed=seed).found.best
        assert (best.text, best.log_probability) == (
            plain.text,
            pytest.approx(plain.log_probability),
        )


def test_with_width_one_the_answers_are_plain_ones_in_order():
    for seed in range(5):
        done = driven(method(n=7, width=1), uneven, seed=seed)
        plain = searched(MajorityVote(n=7), uneven, seed=seed)
        texts = [one.text for one in done.found.considered]
        assert texts == [one.text for one in plain.found.considered]
        assert done.cost.output_tokens == plain.cost.output_tokens
        assert liking(done.found.best.text) == max(map(liking, texts))


def test_a_constant_score_gives_the_plain_answer():
    for seed in range(8):
        best = driven(method(n=6, width=3), uneven, lambda text: 0.5, seed=seed).found.best
        assert best.text == searched(MajorityVote(n=1), uneven, seed=seed).found.best.text


@pytest.mark.parametrize(("n", "chance", "count"), [(2, 0.4, 2), (4, 0.25, 3)])
def test_an_oracle_that_keeps_one_finds_what_any_of_n_finds_at_each_step(n, chance, count):
    runs = 600
    texts = [
        Hand(lines(chance, count), promising, seed).search(method(n=n, width=n)).best.text
        for seed in range(runs)
    ]
    expected = (1 - (1 - chance) ** n) ** count
    found = sum(map(promising, texts)) / runs
    assert found == pytest.approx(expected, abs=3.5 * math.sqrt(expected * (1 - expected) / runs))


@pytest.mark.parametrize(("n", "width"), [(4, 4), (5, 2), (8, 4), (7, 3), (3, 9)])
def test_n_answers_end_and_nothing_that_was_written_is_lost(n, width):
    for seed in range(4):
        done = driven(method(n=n, width=width), uneven, seed=seed)
        assert len(done.found.considered) == n
        assert {one.finish for one in done.found.considered} == {"stop"}
        assert tokens_of(done.found) == done.cost.output_tokens


def test_the_best_beginnings_are_kept_and_grow_in_turns():
    orders = set()
    for seed in range(12):
        hand = Hand(ranked, lambda text: {"a": 0.3, "b": 0.8}[text[0]], seed)
        hand.search(method(n=7, width=3))
        first, second = [ask for ask in hand.asks if isinstance(ask, Write)][:2]
        starts = [one.text for one in next(a for a in hand.asks if isinstance(a, Score)).candidates]
        if set(starts) != {"a\n", "b\n"}:
            continue
        # Two of seven are kept; equal texts come after others, so one of each, in their order.
        kept = sorted([starts.index("a\n"), starts.index("b\n")])
        assert [one.path for one in second.parents] == [(kept[at % 2],) for at in range(7)]
        assert len(first.parents) == 7
        orders.add(starts[0])
    assert len(orders) == 2


def test_fewer_are_kept_as_answers_end():
    def law(question, text):
        if text.endswith("\n") and text.count("\n") == 2:
            return {"": 1.0}
        return {"\n": 1.0} if text and text[-1] != "\n" else dict.fromkeys("abcdefgh", 1 / 8)

    class Ending(Hand):
        """Of eight first steps, the last four end."""

        def child(self, parent, ask):
            grown = super().child(parent, ask)
            ends = grown.path in [(4,), (5,), (6,), (7,)]
            return replace(grown, finish="stop") if ends else grown

    hand = Ending(law, lambda text: 0.5, 0)
    hand.search(method(n=8, width=2))
    writes = [ask for ask in hand.asks if isinstance(ask, Write)]
    assert [len({one.path for one in ask.parents}) for ask in writes[:2]] == [1, 2]
    assert [len(ask.parents) for ask in writes[:2]] == [8, 4]


def test_of_different_texts_the_worst_are_given_up():
    def law(question, text):
        return {"\n": 1.0} if text else dict.fromkeys("abcdef", 1 / 6)

    worth = dict(zip("abcdef", (0.1, 0.5, 0.3, 0.9, 0.2, 0.7), strict=True))
    hand = Hand(law, lambda text: worth[text[0]], 3)
    hand.law = lambda question, text: {"": 1.0} if "\n" in text else law(question, text)
    hand.search(method(n=12, width=4))
    _, second = [ask for ask in hand.asks if isinstance(ask, Write)][:2]
    firsts = {one.text[0] for one in next(a for a in hand.asks if isinstance(a, Score)).candidates}
    kept = {one.text[0] for one in second.parents}
    assert len(second.parents) == 12
    assert kept == set(sorted(firsts, key=worth.get)[-3:])


@pytest.mark.parametrize("change", [lambda s: s**3, lambda s: math.tanh(5 * s - 2) / 2 + 0.5])
def test_only_the_order_of_scores_matters(change):
    for seed in range(5):
        plain = driven(method(n=6, width=2), uneven, seed=seed).found
        changed = driven(
            method(n=6, width=2), uneven, lambda text: change(liking(text)), seed=seed
        ).found
        assert changed.considered == plain.considered
        assert changed.best == plain.best


def test_a_short_answer_wins_only_by_its_score():
    # All score alike: the answer is the first branch's, however soon others ended.
    for seed in range(20):
        found = Hand(uneven, lambda text: 0.5, seed).search(method(n=8, width=2))
        assert found.best.path == min(one.path for one in found.considered)


def test_the_vote_counts_scores():
    for seed in range(6):
        found = Hand(uneven, seed=seed).search(method(n=8, width=2, pick="vote"))
        totals = {}
        for one, weight in zip(found.considered, found.weights, strict=True):
            assert weight == liking(one.text)
            totals[one.text] = totals.get(one.text, 0) + weight
        best = totals[found.best.text]
        assert best == max(totals.values())
        assert found.confidence == pytest.approx(best / sum(totals.values()))


def test_the_last_step_runs_to_the_end_and_all_are_asked_alike():
    hand = Hand(uneven, seed=1)
    hand.search(method(n=4, width=2, depth=2))
    writes = [ask for ask in hand.asks if isinstance(ask, Write)]
    assert [(ask.until, ask.temperature) for ask in writes] == [("step", None), ("end", None)]


@pytest.mark.parametrize("budget", [1, 3, 6, 9, 14, 25, 60])
def test_a_budget_ends_it_and_whole_answers_come_first(budget):
    for seed in range(4):
        done = driven(method(n=5, width=2), uneven, seed=seed, budget=f"{budget}tok")
        found = done.found
        assert done.cost.output_tokens <= budget
        assert tokens_of(found) == done.cost.output_tokens
        whole = any(one.finish == "stop" for one in (*found.considered, *found.pruned))
        assert found.best.finish == ("stop" if whole else "budget")
        assert found.best in found.considered


def refilled(law, rule, n, width, depth, hand):
    """The loop of search-and-learn, as it is written down, with steps drawn by `hand`."""
    active, completed, written = [Candidate()] * n, [], 0
    for at in range(depth):
        if len(active) != n:
            active = (active * n)[:n]
        until = "end" if at == depth - 1 else "step"
        drawn = [hand.child(one, Write((one,), until, "\n")) for one in active]
        written += len(drawn)
        completed += [one for one in drawn if one.done]
        active = [one for one in drawn if not one.done]
        if not active:
            break
        unique = list({one.text: one for one in reversed(active)}.values())[::-1]
        unique.sort(key=lambda one: (-rule(one.text), one.path))
        kept = unique[: n // width]
        # Equal texts come back only if too few others are left.
        kept += [one for one in sorted(active, key=lambda one: (-rule(one.text), one.path))
                 if one not in kept][: n // width - len(kept)]  # fmt: skip
        active = [one for one in active if one in kept]
    best = sorted(completed, key=lambda one: (-rule(one.text), one.path))[:n]
    return best, written


@pytest.mark.parametrize(("n", "width", "depth"), [(4, 2, 40), (6, 3, 40), (8, 4, 3)])
def test_with_refill_it_is_the_loop_of_search_and_learn(n, width, depth):
    longer = 0
    for seed in range(25):
        hand = Hand(uneven, seed=seed)
        found = hand.search(method(n=n, width=width, depth=depth, refill=True))
        slow = Hand(uneven, seed=seed)
        slow.children, slow.rng = Counter(), random.Random(seed)
        best, written = refilled(uneven, liking, n, width, depth, slow)

        assert {one.path for one in found.considered} == {one.path for one in best}
        assert found.best.text == best[0].text
        writes = [ask for ask in hand.asks if isinstance(ask, Write)]
        assert {len(ask.parents) for ask in writes} == {n}
        assert sum(len(ask.parents) for ask in writes) == written
        plain = Hand(uneven, seed=seed)
        plain.search(method(n=n, width=width, depth=depth))
        longer += written > sum(len(ask.parents) for ask in plain.asks if isinstance(ask, Write))
    assert longer > 12


def test_with_refill_more_than_n_answers_end_and_the_n_best_count():
    more = 0
    for seed in range(10):
        done = driven(method(n=4, width=2, refill=True), uneven, seed=seed)
        ended = [one for one in (*done.found.considered, *done.found.pruned) if one.done]
        least = min(liking(one.text) for one in done.found.considered)
        assert len(done.found.considered) == 4
        assert all(liking(one.text) <= least for one in done.found.pruned if one.done)
        assert tokens_of(done.found) == done.cost.output_tokens
        more += len(ended) > 4
    assert more > 2

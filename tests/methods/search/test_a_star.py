"""A* decoding on laws whose every probability is known."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from forethought import catalogue
from forethought.contracts.search import Score, Write
from forethought.methods.search.a_star import AStar
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

COSTS = {
    "worsening": lambda before, after: max(0.0, after - before),
    "consistent": lambda before, after: max(0.0, before - after),
    "none": lambda before, after: 0.0,
}


def method(**settings):
    return AStar(**{"delimiter": "\n", **settings})


def test_no_cost_is_named_as_it_is_shown():
    assert catalogue.build("a-star(cost=none)", "strategies") == AStar(cost="none")
    assert catalogue.build("best-of-n(enough=none)", "strategies").enough is None


def promise(candidate, cost, rule=liking):
    """Cost of all steps, and what the end lacks, straight from the definition."""
    texts = ["".join(candidate.steps[:size]) for size in range(1, len(candidate.steps) + 1)]
    lacks = [1.0, *(1 - rule(text) for text in texts)]
    return sum(COSTS[cost](*pair) for pair in pairwise(lacks)) + lacks[-1]


def grown(hand):
    """The beginnings that were grown, in order."""
    return [ask.parents[0] for ask in hand.asks if isinstance(ask, Write)]


def scored(hand):
    return [one for ask in hand.asks if isinstance(ask, Score) for one in ask.candidates]


@pytest.mark.parametrize("settings", [{}, {"cost": "consistent"}, {"expansions": 2}, {"batch": 3}])
def test_one_step_at_a_time_is_the_plain_answer(settings):
    for seed in range(5):
        best = driven(method(n=1, **settings), uneven, seed=seed).found.best
        plain = searched(MajorityVote(n=1), uneven, seed=seed).found.best
        assert (best.text, best.log_probability) == (
            plain.text,
            pytest.approx(plain.log_probability),
        )


@pytest.mark.parametrize("cost", COSTS)
def test_a_constant_score_goes_straight_down_the_first_branch(cost):
    for seed in range(6):
        done = driven(method(cost=cost), uneven, lambda text: 0.4, seed=seed)
        plain = searched(MajorityVote(n=1), uneven, seed=seed).found.best
        assert done.found.best.text == plain.text
        assert done.written == 4 * len(done.found.best.steps)  # as many expansions as steps


@pytest.mark.parametrize("cost", COSTS)
def test_what_comes_first_promises_most(cost):
    orders = 0
    for seed in range(12):
        hand = Hand(uneven, seed=seed)
        found = hand.search(method(n=3, cost=cost))
        popped = [*grown(hand)[1:], found.best]
        promises = [promise(one, cost) for one in popped]
        if cost == "consistent":
            assert all(later >= sooner - 1e-12 for sooner, later in pairwise(promises))
        orders += promises != sorted(promises)
        known = {(one.text, one.done): one for one in scored(hand)}.values()
        left = [one for one in known if one.done and one.text != found.best.text]
        assert all(promise(one, cost) >= promises[-1] - 1e-12 for one in left)
    assert cost == "consistent" or orders


@pytest.mark.parametrize("cost", COSTS)
def test_the_next_to_grow_is_always_the_best_of_the_frontier(cost):
    for seed in range(8):
        hand = Hand(uneven, seed=seed)
        hand.search(method(n=3, cost=cost, goals=3))
        frontier = []
        for ask in hand.asks[1:]:
            if isinstance(ask, Score):
                seen = set()
                for one in ask.candidates:
                    if (one.text, one.done) not in seen:
                        seen.add((one.text, one.done))
                        frontier.append(one)
            elif isinstance(ask, Write):
                taken = ask.parents[0]
                best = min(
                    (round(promise(one, cost), 9), -len(one.path))
                    for one in frontier
                    if not one.done
                )
                assert (round(promise(taken, cost), 9), -len(taken.path)) == best
                frontier.remove(taken)


def test_what_a_step_costs():
    rule = {"a\n": 0.8, "a\nb\n": 0.5, "a\nb\na\n": 0.9, "a\nb\na\n ": 0.9}
    costs = {}
    for cost in COSTS:
        one = method(cost=cost)
        costs[cost] = [
            one._edge(1 - rule[first], 1 - rule[second])
            for first, second in [("a\n", "a\nb\n"), ("a\nb\n", "a\nb\na\n")]
        ]
    assert costs["worsening"] == pytest.approx([0.3, 0.0])
    assert costs["consistent"] == pytest.approx([0.0, 0.4])
    assert costs["none"] == [0.0, 0.0]


def test_an_oracle_finds_what_any_of_n_finds_at_each_step():
    n, chance, count, runs = 3, 0.4, 2, 500
    settings = method(n=n, expansions=count)
    texts = [
        Hand(lines(chance, count), promising, seed).search(settings).best.text
        for seed in range(runs)
    ]
    # As many expansions as lines leave no second chance.
    expected = (1 - (1 - chance) ** n) ** count
    found = sum(map(promising, texts)) / runs
    assert found == pytest.approx(expected, abs=3.5 * math.sqrt(expected * (1 - expected) / runs))


def test_equal_steps_count_once_and_are_paid():
    for seed in range(6):
        done = driven(method(n=6), uneven, seed=seed)
        assert tokens_of(done.found) == done.cost.output_tokens
    hand = Hand(ranked, seed=0)
    hand.search(method(n=8, goals=20, expansions=60))
    # Two lines of two letters: the start, two first lines, four second ones, whose end is sure.
    assert len(grown(hand)) == 1 + 2 + 4
    assert [len(ask.parents) for ask in hand.asks if isinstance(ask, Write)] == [8] * 7


def test_goals_are_collected_and_the_best_is_taken():
    for seed in range(6):
        found = Hand(uneven, seed=seed).search(method(n=4, goals=3))
        assert len(found.considered) == 3
        assert liking(found.best.text) == max(liking(one.text) for one in found.considered)
        assert found.weights == tuple(liking(one.text) for one in found.considered)
        vote = Hand(uneven, seed=seed).search(method(n=4, goals=3, pick="vote"))
        assert vote.considered == found.considered
        assert vote.confidence == pytest.approx(
            sum(
                weight
                for one, weight in zip(vote.considered, vote.weights, strict=True)
                if one.text == vote.best.text
            )
            / sum(vote.weights)
        )
    assert Hand(uneven).search(method()).confidence is None


def test_an_answer_that_was_found_is_never_dropped():
    # An end that scores badly stays behind beginnings that promise more, for long.
    def law(question, text):
        if not text:
            return {"x": 0.5, "o": 0.5}
        if text[0] == "x" or len(text) > 80:
            return {"": 1.0}
        return {"\n": 1.0} if text[-1] != "\n" else {"o": 1.0}

    def rule(text):
        return 0.2 if text[0] == "x" else 0.9

    for seed in range(6):
        found = Hand(law, rule, seed).search(method(n=6, expansions=7))
        assert found.best.text == "x"
    # The driver's longest answer has 30 tokens: the budget comes first.
    cut = driven(method(n=6), law, rule, budget="60tok").found
    assert cut.best.text == "x"
    assert cut.considered == (cut.best,)


def test_without_an_answer_the_most_promising_is_written_to_its_end():
    hand = Hand(lines(0.5, 4), seed=2)
    found = hand.search(method(n=3, expansions=2))
    last = [ask for ask in hand.asks if isinstance(ask, Write)][-1]
    assert (last.until, last.temperature, len(last.parents)) == ("end", None, 1)
    open_ones = [one for one in scored(hand) if one.path != grown(hand)[1].path]
    best = min((promise(one, "worsening"), -len(one.path)) for one in open_ones)
    (parent,) = last.parents
    assert (promise(parent, "worsening"), -len(parent.path)) == pytest.approx(best)
    assert found.best.path[:-1] == parent.path
    assert found.best.finish == "stop"
    assert tokens_of(found) == sum(
        len(one.steps[-1]) for one in {s.path: s for s in scored(hand)}.values()
    ) + len(found.best.steps[-1])


def test_several_are_grown_at_once():
    pairs = 0
    for seed in range(8):
        hand = Hand(lines(0.5, 9), seed=seed)
        hand.search(method(n=3, batch=2, expansions=4))
        writes = [ask for ask in hand.asks if isinstance(ask, Write)]
        sizes = [len(ask.parents) for ask in writes]
        # Four in all, two at once where there are two; then an end, as there is no answer yet.
        assert sum(sizes[:-1]) == 3 * 4
        assert set(sizes[:-1]) <= {3, 6}
        assert sizes[-1] == 1
        pairs += sizes.count(6)
        assert [len({one.path for one in ask.parents}) for ask in writes] == [
            max(1, size // 3) for size in sizes
        ]
        assert {ask.temperature for ask in writes} == {None}
        assert [ask.until for ask in writes][-2:] == ["step", "end"]
    assert pairs > 4


@pytest.mark.parametrize("settings", [{}, {"batch": 3, "goals": 2}, {"batch": 2, "expansions": 3}])
def test_all_that_was_written_is_considered_or_given_up(settings):
    for seed in range(12):
        hand = Hand(uneven, seed=seed)
        found = hand.search(method(n=3, **settings))
        known = {one.path for one in (*found.considered, *found.pruned)}
        within = {path[:size] for path in known for size in range(len(path) + 1)}
        assert {one.path for one in scored(hand)} <= within
        done = driven(method(n=3, **settings), uneven, seed=seed)
        assert tokens_of(done.found) == done.cost.output_tokens


def test_squeezing_scores_may_change_the_search():
    changed = [
        driven(method(n=4, goals=2), uneven, seed=seed).found.considered
        != driven(
            method(n=4, goals=2), uneven, lambda t: liking(t) ** 4, seed=seed
        ).found.considered
        for seed in range(12)
    ]
    assert any(changed)


@pytest.mark.parametrize("budget", [1, 3, 6, 9, 14, 25, 60])
def test_a_budget_ends_it_and_whole_answers_come_first(budget):
    for seed in range(5):
        done = driven(method(n=3), uneven, seed=seed, budget=f"{budget}tok")
        found = done.found
        assert done.cost.output_tokens <= budget
        assert tokens_of(found) == done.cost.output_tokens
        whole = any(one.finish == "stop" for one in (*found.considered, *found.pruned))
        assert found.best.finish == ("stop" if whole else "budget")
        assert found.best in found.considered

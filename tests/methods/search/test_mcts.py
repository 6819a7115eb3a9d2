"""Tree search on laws whose every probability is known."""

import pytest

from forethought.backends.known import END, KnownBackend
from forethought.contracts.search import Candidate, Write
from forethought.methods.search.majority_vote import MajorityVote
from forethought.methods.search.mcts import MCTS, _Node
from tests.driver.searches import Rule, searched, three_steps
from tests.methods.search.by_hand import Hand, uneven

STEPS = {"delimiter": "\n"}


def good(text):
    """All a: right; the more a's so far, the better."""
    lines = text.split()
    return sum(line == "a" for line in lines) / 3 if lines else 0.0


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("iterations", [1, 2, 16])
def test_with_one_child_it_is_the_plain_answer(seed, iterations):
    found = searched(MCTS(n=1, iterations=iterations, **STEPS), scorer=Rule(good), seed=seed).found
    plain = searched(MajorityVote(n=1), seed=seed).found.best

    assert found.best.text == plain.text
    assert found.best.log_probability == pytest.approx(plain.log_probability)


def test_it_finds_what_the_scorer_wants_where_plain_answers_seldom_do():
    right = [
        searched(MCTS(n=4, iterations=24, **STEPS), scorer=Rule(good), seed=seed).found.best.text
        == "a\na\na\n"
        for seed in range(30)
    ]
    assert sum(right) >= 28
    plain = [searched(MajorityVote(n=1), seed=seed).found.best.text for seed in range(100)]
    assert plain.count("a\na\na\n") < 60


def test_it_ends_where_every_branch_has():
    def two(question, text):
        return {"a": 0.5, "b": 0.5} if not text else {"": 1.0} if "\n" in text else {"\n": 1.0}

    done = searched(MCTS(n=30, iterations=500, **STEPS), two, scorer=Rule(lambda text: 0.5))
    # The start, then each of the two beginnings: a closed branch is never visited again.
    assert done.written == 3 * 30
    assert {one.text for one in done.found.considered} == {"a\n", "b\n"}

    hand = Hand(two, lambda text: 0.5)
    hand.search(MCTS(n=30, iterations=500, **STEPS))
    assert sum(isinstance(ask, Write) for ask in hand.asks) == 3


def test_a_found_answer_is_never_dropped():
    for budget in (5, 9, 14, 30):
        done = searched(
            MCTS(n=3, iterations=50, **STEPS), scorer=Rule(good), budget=f"{budget}tok", seed=2
        )
        assert done.cost.output_tokens <= budget
        whole = [one for one in done.found.considered if one.finish == "stop"]
        assert not whole or done.found.best in whole


def test_an_answer_is_found_though_a_better_branch_has_none():
    def endless(question, text):
        if text in ("", "b"):
            return {"b": 0.5, "a\n": 0.5} if not text else {END: 1.0}
        return {"a\n": 1.0}

    found = searched(
        MCTS(n=6, iterations=4, **STEPS),
        endless,
        scorer=Rule(lambda text: 0.9 - 0.8 * (text == "b")),
    ).found
    assert (found.best.text, found.best.finish) == ("b", "stop")
    assert any(one.text.startswith("a\n") for one in found.pruned)


def test_the_best_mean_value_is_walked_down_to():
    # b leads to the best single answer, but only after a first step that scores low.
    def rule(text):
        lines = text.split()
        return {"a": 0.9, "b": 0.1, "c": 0.0}[lines[0]] if lines else 0.0

    best = searched(MCTS(n=6, iterations=30, **STEPS), scorer=Rule(rule), seed=3).found.best
    assert best.text.startswith("a")


def test_worth_is_the_mean_and_what_few_visits_promise():
    parent, child = _Node(Candidate(), visits=9), _Node(Candidate(), 0.5, total=1.0, visits=2)
    assert MCTS(explore=1.5)._worth(parent, child) == pytest.approx(0.5 + 1.5 * 0.5 * 3 / 3)
    assert MCTS(explore=0.0)._worth(parent, child) == 0.5


def test_equal_steps_count_once():
    done = searched(MCTS(n=12, iterations=1, **STEPS), scorer=Rule(good))
    beginnings = {one.text for one in done.found.pruned if one.finish == ""}
    assert len(beginnings) <= 3
    assert done.written == 12 + 1  # and one written to its end


@pytest.mark.parametrize("iterations", [1, 4, 16])
def test_a_constant_score_gives_the_plain_answer(iterations):
    method = MCTS(n=3, iterations=iterations, **STEPS)
    for seed in range(12):
        plain = searched(MajorityVote(n=1), uneven, seed=seed).found.best
        found = searched(method, uneven, scorer=Rule(lambda text: 0.7), seed=seed).found
        assert found.best.text == plain.text


def test_every_answer_is_scored_however_coarse_the_scores_are():
    def right(text):
        return float(text.startswith("a") and text.count("b") < 2)

    for seed in range(40):
        done = searched(MCTS(n=3, iterations=3, **STEPS), uneven, scorer=Rule(right), seed=seed)
        assert {one.identity for one in done.found.considered} <= {*done.scores}
        scores = [right(one.text) for one in done.found.considered]
        assert done.found.weights == tuple(pytest.approx(one) for one in scores)


def test_what_the_budget_cut_short_is_not_scored_and_ends_it():
    for seed in range(20):
        seen = []

        def rule(text, seen=seen):
            seen.append(text)
            return good(text)

        done = searched(MCTS(n=3, **STEPS), scorer=Rule(rule), budget="13tok", seed=seed)
        every = (*done.found.considered, *done.found.pruned)
        assert done.budget_spent
        assert any(one.finish == "budget" for one in every)
        # Whole steps end in a line: only what was cut short does not.
        assert seen
        assert all(text.endswith("\n") for text in seen)


def test_candidates_are_scored_and_weighed():
    found = searched(MCTS(n=4, iterations=12, **STEPS), scorer=Rule(good)).found
    assert found.weights == tuple(pytest.approx(good(one.text)) for one in found.considered)
    assert 0 < found.confidence <= 1


def test_only_wanted_depth_is_written_step_by_step():
    backend = KnownBackend(three_steps)
    done = searched(MCTS(n=2, iterations=1, depth=1, **STEPS), scorer=Rule(good), backend=backend)
    assert done.found.best.text.count("\n") == 3
    assert len(backend.asked) == 2


@pytest.mark.parametrize("budget", [1, 2, 5, 7])
def test_where_no_answer_has_ended_the_longest_beginning_is_told(budget):
    done = searched(MCTS(n=2, **STEPS), scorer=Rule(good), budget=f"{budget}tok")
    assert not any(one.whole for one in done.found.considered)
    longest = max(one.tokens for one in done.found.considered)
    assert (done.found.best.tokens, done.found.best.finish) == (longest, "budget")
    assert done.found.best.text

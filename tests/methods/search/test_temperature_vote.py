"""Votes over several temperatures."""

from collections import Counter

import pytest

from forethought.backends.known import END, KnownBackend
from forethought.methods.search.majority_vote import MajorityVote
from forethought.methods.search.temperature_vote import TemperatureVote
from tests.driver.searches import coin, searched, three_steps


class Recorded(KnownBackend):
    """Keeps the temperatures that were asked for."""

    def submit(self, request):
        self.__dict__.setdefault("warmths", []).append(request.temperature)
        super().submit(request)


def warmths(strategy, law=three_steps, **settings):
    backend = Recorded(law)
    done = searched(strategy, backend=backend, **settings)
    return Counter(backend.warmths), done


ONE = {"temperatures": 1, "greedy": False, "low": 1.0}


@pytest.mark.parametrize("seed", range(6))
def test_one_temperature_is_a_majority_vote(seed):
    for n in (1, 7):
        found = searched(TemperatureVote(n=n, window=n, **ONE), seed=seed).found
        assert found == searched(MajorityVote(n=n), seed=seed).found


@pytest.mark.parametrize("n", [1, 2, 5, 10, 11, 40, 47])
def test_the_total_is_the_same_however_many_temperatures(n):
    counts, done = warmths(TemperatureVote(n=n, window=n))
    assert len(done.found.considered) == sum(counts.values()) == n
    assert counts[0.0] == 1
    warm = [counts[warmth] for warmth in counts if warmth]
    assert not warm or max(warm) - min(warm) <= 1


def test_the_grid_is_that_of_the_study():
    counts, _ = warmths(TemperatureVote(n=40, window=40))
    assert sorted(counts) == [0.0, *(round(0.4 + 0.1 * place, 6) for place in range(9))]


def sure(question, text):
    return {END: 1.0} if text else {"a": 1.0}


def test_it_stops_where_all_agree():
    counts, done = warmths(TemperatureVote(n=400, window=3), sure)
    assert sum(counts.values()) == 1 + 9 * 3
    assert done.found.confidence == 1.0


def test_it_goes_on_where_some_temperatures_say_something_else():
    # Cold ones always say a, warm ones mostly b: each is sure of its own.
    def law(question, text):
        return {END: 1.0} if text else {"a": 0.07} | {"b" + "!" * n: 0.03 for n in range(31)}

    class Kind:
        def group(self, candidates):
            return [ord(one.text[0]) - ord("a") if one.text else None for one in candidates]

    strategy = {"n": 61, "temperatures": 2, "low": 0.01, "high": 1.2, "window": 5}
    counts, done = warmths(TemperatureVote(**strategy), law, reader=Kind())
    assert sum(counts.values()) == 61
    # Two of three temperatures agree, greedy one included.
    counts, done = warmths(TemperatureVote(across=0.6, **strategy), law, reader=Kind())
    assert sum(counts.values()) == 1 + 2 * 5
    assert done.found.best.text == "a"


def test_every_temperature_must_be_sure_even_where_not_all_must_agree():
    # Seven texts are as likely: only the coldest answers agree, and two of three arms would do.
    def law(question, text):
        return {END: 1.0} if text else {"a": 0.16} | {letter: 0.14 for letter in "bcdefg"}

    strategy = TemperatureVote(
        n=41, temperatures=2, low=0.01, high=1.0, window=5, across=0.6, within=0.9
    )
    for seed in range(4):
        assert len(searched(strategy, law, seed=seed).found.considered) == 41


def test_it_goes_on_where_a_temperature_is_not_sure():
    # Of five answers that a temperature gives, one in three is not the leader's.
    sizes = set()
    for seed in range(10):
        strategy = TemperatureVote(n=60, window=5, **ONE)
        drawn = searched(strategy, coin(0.66), seed=seed).found.considered
        texts = [one.text for one in drawn]
        shares = [max(Counter(texts[:n]).values()) / n for n in range(5, len(texts) + 1, 5)]
        assert all(share < 0.8 for share in shares[:-1])
        assert len(texts) == 60 or shares[-1] >= 0.8
        sizes.add(len(texts))
    assert len(sizes) > 1


def test_it_never_stops_on_answers_that_say_nothing():
    class Nothing:
        def group(self, candidates):
            return [None] * len(candidates)

    done = searched(TemperatureVote(n=50, window=2), sure, reader=Nothing())
    assert len(done.found.considered) == 50
    assert done.found.confidence is None


def test_answers_that_say_nothing_count_against_a_temperature():
    class Half:
        def group(self, candidates):
            return [0 if place % 2 else None for place in range(len(candidates))]

    done = searched(TemperatureVote(n=40, window=4, **ONE), sure, reader=Half())
    assert len(done.found.considered) == 40


def test_the_budget_ends_it():
    for budget in range(1, 60, 4):
        backend = KnownBackend(three_steps)
        done = searched(TemperatureVote(n=30), backend=backend, budget=f"{budget}tok")
        assert done.cost.output_tokens <= budget
        ends = [one for one in done.found.considered if one.finish == "budget"]
        assert len(ends) <= 4  # of one window: others are not begun
        assert done.budget_spent == any(one.finish == "budget" for one in done.found.considered)
        if any(one.finish == "stop" for one in done.found.considered):
            assert done.found.best.finish == "stop"


def coverage(law, right, n, **settings):
    found = 0
    for seed in range(120):
        done = searched(TemperatureVote(n=n, window=n, greedy=False, **settings), law, seed=seed)
        found += any(one.text == right for one in done.found.considered)
    return found / 120


def test_equal_temperatures_cover_what_one_covers():
    one = coverage(coin(0.8), "bbb", 4, temperatures=1, low=1.0)
    many = coverage(coin(0.8), "bbb", 4, temperatures=4, low=1.0, high=1.0)
    assert one == many
    assert one == pytest.approx(1 - 0.8**4, abs=0.14)

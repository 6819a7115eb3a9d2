"""The choice of what has most in common, on laws whose every probability is known."""

import pytest

from forethought.backends.known import END, KnownBackend
from forethought.methods.search.greedy import Greedy
from forethought.methods.search.hedged import Hedged
from forethought.numerics.overlap import overlap
from tests.driver.searches import searched, three_steps


def texts_of(chances):
    def law(question, text):
        return {END: 1.0} if text else chances

    return law


CROWD = {"zzzzzz": 0.28, "the cat sat": 0.24, "the cat sits": 0.24, "that cat sat": 0.24}


@pytest.mark.parametrize("n", [1, 2])
def test_with_one_or_two_it_is_the_greedy_answer(n):
    for seed in range(6):
        found = searched(Hedged(n=n), seed=seed).found
        greedy = searched(Greedy(), seed=seed).found.best
        assert found.best == greedy
        assert len(found.considered) == n


def test_the_greedy_answer_is_always_among_them():
    for seed in range(6):
        found = searched(Hedged(n=5), seed=seed).found
        assert found.considered[0].text == "a\na\na\n"
        assert len(found.considered) == 5


def test_others_are_drawn_at_the_temperature():
    class Recorded(KnownBackend):
        def submit(self, request):
            self.__dict__.setdefault("warmths", []).append(request.temperature)
            super().submit(request)

    backend = Recorded(three_steps)
    searched(Hedged(n=4, temperature=0.9), backend=backend)
    assert backend.warmths == [0.0, 0.9, 0.9, 0.9]


def test_the_likest_to_the_others_wins_over_the_greedy_one():
    hedges = 0
    for seed in range(12):
        found = searched(Hedged(n=6, temperature=1.0), texts_of(CROWD), seed=seed).found
        texts = [one.text for one in found.considered]
        expected = [
            sum(overlap(one, other) for k, other in enumerate(texts) if k != place) / 5
            for place, one in enumerate(texts)
        ]
        assert found.weights == pytest.approx(expected)
        assert found.best.text == texts[expected.index(max(expected))]
        hedges += found.best.text != texts[0]
    assert hedges > 3


def test_identical_answers_give_the_first():
    found = searched(Hedged(n=5), texts_of({"same": 1.0})).found
    assert found.best == found.considered[0]
    assert found.weights == (1.0,) * 5


def test_the_budget_ends_it():
    for budget in range(1, 30):
        done = searched(Hedged(n=4), budget=f"{budget}tok")
        assert done.cost.output_tokens <= budget
        assert len(done.found.considered) == (4 if budget >= 7 else 1)
        assert (done.found.best.finish == "stop") == (budget >= 7)
        weighed = zip(done.found.considered, done.found.weights, strict=True)
        assert all(not weight for one, weight in weighed if one.finish == "budget")

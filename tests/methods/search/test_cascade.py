"""A small model first and a large one where it is unsure, on laws that are known."""

import itertools
import math
from collections import Counter
from dataclasses import replace

import pytest

from forethought.backends.known import END, KnownBackend
from forethought.contracts.errors import BadParameterError, UnknownNameError, UsageError
from forethought.contracts.search import Found, Strategy, write
from forethought.driver.driver import Driver
from forethought.methods.search.cascade import Cascade
from forethought.methods.search.greedy import Greedy
from forethought.methods.search.majority_vote import MajorityVote
from tests.driver.searches import coin, job, searched, three_steps

LARGE = coin(0.9, 5)
SMALL = coin(0.6, 2)
SHARE = 0.6
"""Of the small model's answers, those that say what the large one likes best."""


def backend(**settings):
    return KnownBackend(LARGE, drafted=SMALL, **settings)


def ran(strategy, **settings):
    return searched(strategy, backend=settings.pop("backend", None) or backend(), **settings)


def said(answers):
    return [(one.text, one.tokens, one.finish, one.path, one.log_probability) for one in answers]


@pytest.mark.parametrize("seed", range(8))
def test_at_0_it_is_the_small_models_vote_token_for_token(seed):
    found = ran(Cascade(n=4, sure=0.0), seed=seed)
    small = searched(MajorityVote(n=4), SMALL, seed=seed)

    assert said(found.found.considered) == said(small.found.considered)
    assert said([found.found.best]) == said([small.found.best])
    assert found.found.weights == small.found.weights
    assert found.found.confidence == small.found.confidence
    assert found.cost.output_tokens == 0
    assert found.cost.draft_tokens == small.cost.output_tokens


@pytest.mark.parametrize("seed", range(4))
def test_above_1_it_is_the_large_models_plain_answer_and_costs_both(seed):
    found = ran(Cascade(n=4, sure=1.1), seed=seed)
    small, large = (searched(one, law, seed=seed) for one, law in (
        (MajorityVote(n=4), SMALL), (Greedy(), LARGE)))  # fmt: skip

    assert (found.found.best.text, found.found.best.writer) == (large.found.best.text, "target")
    assert found.cost.output_tokens == large.cost.output_tokens
    assert found.cost.draft_tokens == small.cost.output_tokens
    assert found.cost.flops == pytest.approx(large.cost.flops + 0.1 * small.cost.flops)


def test_at_1_the_large_model_is_asked_unless_all_answers_agree():
    for seed in range(12):
        found = ran(Cascade(n=3, sure=1.0), seed=seed).found
        small = [one.text for one in found.considered if one.writer == "draft"]
        assert len(small) == 3
        assert (found.best.writer == "draft") == (len(set(small)) == 1)


def laws(n, sure):
    """Chance to ask the large model, and to say what it likes best, over all small draws."""
    asked = right = 0.0
    for draws in itertools.product("ab", repeat=n):
        weight = math.prod(SHARE if one == "a" else 1 - SHARE for one in draws)
        counts = Counter(draws)
        if max(counts.values()) / n >= sure:
            right += weight * (max(counts, key=lambda one: counts[one]) == "a")
        else:
            asked += weight
            right += weight  # the large one's likeliest answer
    return asked, right


@pytest.mark.parametrize("sure", [0.7, 1.0])
def test_how_often_the_large_model_is_asked_and_what_is_said_are_those_of_enumeration(sure):
    n, runs = 3, 200
    asked, right = laws(n, sure)
    done = [ran(Cascade(n=n, sure=sure), seed=seed) for seed in range(runs)]

    def seen(values):
        return sum(values) / runs, 3 * math.sqrt(0.25 / runs)

    share, deviation = seen([one.found.best.writer == "target" for one in done])
    assert share == pytest.approx(asked, abs=deviation)
    share, deviation = seen([one.found.best.text[0] == "a" for one in done])
    assert share == pytest.approx(right, abs=deviation)
    flops = sum(one.cost.flops for one in done) / runs
    assert flops == pytest.approx(n * 2 * 0.1 + asked * 5, abs=5 * deviation)


def test_no_answers_of_the_two_models_draw_alike():
    """Where the small one is unsure, the large one's answers keep their law."""
    law = coin(0.9, 2)
    strategy = Cascade(n=2, sure=1.0, then="majority-vote(n=1)")
    found = [
        ran(strategy, seed=seed, backend=KnownBackend(law, drafted=law)).found
        for seed in range(300)
    ]
    asked = [one for one in found if one.best.writer == "target"]
    share = sum(one.best.text[0] == "a" for one in asked) / len(asked)
    assert share == pytest.approx(0.9, abs=3 * 0.3 / math.sqrt(len(asked)))
    assert [one.path for one in asked[0].considered] == [(0,), (1,), (2,)]


def test_the_large_model_may_answer_by_a_strategy():
    done = ran(Cascade(n=2, sure=2.0, then="majority-vote(n=3)"))
    assert [one.writer for one in done.found.considered] == ["draft"] * 2 + ["target"] * 3
    assert done.found.weights == (0.0, 0.0, 1.0, 1.0, 1.0)
    assert done.cost.output_tokens == 3 * 5


def test_the_likelihood_of_the_answer_is_a_sign_too():
    # A mean probability of 0.6 or 0.4 to the third: of two tokens and of the end.
    for seed in range(8):
        found = ran(Cascade(n=1, sure=0.8, by="likelihood"), seed=seed).found
        small = found.considered[0]
        assert (found.best.writer == "draft") == (small.text == "aa")


def test_answers_that_say_nothing_agree_on_nothing():
    def silent(question, text):
        return {"a": 0.5, "": 0.5} if not text else {END: 1.0}

    for seed in range(12):
        found = searched(
            Cascade(n=4, sure=0.7), backend=KnownBackend(LARGE, drafted=silent), seed=seed
        )
        spoke = [one for one in found.found.considered if one.writer == "draft" and one.text]
        assert (found.found.best.writer == "draft") == (len(spoke) >= 3)


def test_it_is_refused_before_anything_is_asked_where_there_is_no_second_model():
    alone = KnownBackend(LARGE)
    with pytest.raises(UsageError, match="none is named"):
        searched(Cascade(), backend=alone)
    assert not alone.asked


def test_what_can_never_be_unsure_or_is_no_strategy_is_refused():
    with pytest.raises(BadParameterError, match="agrees with itself"):
        Cascade(n=1)
    with pytest.raises(UnknownNameError):
        Cascade(then="gredy")


def test_what_the_large_models_strategy_needs_is_needed():
    assert Cascade().needs == {"draft"}
    assert Cascade(by="likelihood").needs == {"draft", "log-probabilities"}
    assert Cascade(then="adaptive").needs == {"draft", "verdicts", "steps"}
    assert Cascade(then="adaptive").follows_up
    assert not Cascade().follows_up
    assert Cascade(then="adaptive(begin=8)").needs == {"draft", "verdicts", "steps"}
    assert not Cascade().scores
    assert Cascade(then="best-of-n").scores


@pytest.mark.parametrize("budget", range(1, 24))
def test_a_budget_of_tokens_holds_for_both_models_together(budget):
    for seed in range(3):
        done = ran(Cascade(n=4, sure=1.1), budget=f"{budget}tok", seed=seed)
        assert done.cost.draft_tokens + done.cost.output_tokens <= budget
        told = [*done.found.considered, *done.found.pruned]
        written = sum(one.tokens for one in told if one.writer == "target")
        assert written == done.cost.output_tokens  # what is paid is shown
        assert done.found.best.text
        # The end is seen where one token more might have been written.
        if budget >= 4 * 2 + 5 + 1:
            assert done.found.best.writer == "target"
        elif budget >= 4 * (2 + 1):
            assert (done.found.best.writer, done.found.best.whole) == ("draft", True)


@pytest.mark.parametrize("flops", [0.1, 0.5, 1.2, 3, 5.8, 6.8])
def test_a_budget_of_flops_is_held_by_each_models_own_costs(flops):
    (done,) = Driver(backend()).run([job(Cascade(n=4, sure=1.1), budget=f"{flops}FLOP")])
    assert done.cost.flops <= flops + 1e-9
    if flops >= 0.8 + 5 + 1:
        assert not done.budget_spent
        assert done.found.best.writer == "target"
    elif flops >= 1.2:
        assert done.found.best.writer == "draft"
        assert done.budget_spent


def test_a_verdict_that_cannot_be_paid_leaves_the_small_models_answer():
    paid = KnownBackend(LARGE, drafted=SMALL, verdict_flops=1e6)
    done = ran(Cascade(n=4, sure=1.1, then="adaptive"), backend=paid, budget="100FLOP")
    assert done.found.best.whole


class Steps(Strategy):
    """Both models go on from beginnings of their own."""

    needs = frozenset({"draft"})

    def search(self, start, rng):
        starts = [start, replace(start, writer="draft"), start, replace(start, writer="draft")]
        first = yield from write(starts, max_tokens=2)
        ends = yield from write(first)
        return Found(ends[0], tuple(ends))


def test_each_goes_on_with_its_own_beginnings():
    done = searched(Steps(), backend=KnownBackend(three_steps, drafted=coin(0.5, 4)))
    for one in done.found.considered:
        assert ("\n" in one.text) == (one.writer == "target")
    assert [one.path for one in done.found.considered] == [(0, 0), (1, 0), (2, 0), (3, 0)]

from __future__ import annotations

from dataclasses import dataclass

import pytest

from forethought.backends.known import KnownBackend
from forethought.contracts.errors import ModelError, UsageError
from forethought.contracts.search import Scorer, Write, write
from forethought.driver.driver import Driver
from forethought.methods.confidence.agreement import Agreement
from forethought.methods.confidence.p_true import PTrue
from forethought.methods.confidence.verbalised import Verbalised
from forethought.methods.scoring.likelihood import Likelihood
from forethought.methods.search.greedy import Greedy
from forethought.methods.search.majority_vote import MajorityVote
from tests.driver.searches import coin, job, searched


@dataclass(frozen=True)
class Fixed(Scorer):
    """Gives one number to every answer."""

    value: object

    def score(self, question, candidates):
        yield from ()
        return [self.value for _ in candidates]


def test_every_method_speaks_of_the_chosen_answer_in_order():
    found = searched(
        MajorityVote(n=4),
        coin(0.7),
        confidence={"agreement": Agreement(n=4), "likelihood": Likelihood()},
    ).found
    first, second = found.estimates
    assert (first.method, first.value) == ("agreement", found.confidence)
    assert (second.method, second.value) == ("likelihood", found.best.likelihood)


def test_confidence_methods_leave_the_answers_as_they_are():
    plain = searched(MajorityVote(n=4), coin(0.7)).found
    judged = searched(
        MajorityVote(n=4), coin(0.7), confidence={"p-true": PTrue(), "agreement": Agreement(n=9)}
    ).found
    assert (judged.best, judged.considered) == (plain.best, plain.considered)


def test_each_estimate_is_charged_its_own_cost():
    backend = KnownBackend(coin(0.7), verdict_flops=2.0)
    done = searched(
        MajorityVote(n=2),
        backend=backend,
        confidence={"p-true": PTrue(samples=0), "agreement": Agreement(n=4)},
    )
    plain = searched(MajorityVote(n=2), coin(0.7)).cost
    judged, agreed = (one.cost for one in done.found.estimates)
    assert (judged.flops, judged.output_tokens) == (2.0, 0)
    assert (agreed.flops, agreed.output_tokens) == (6.0, 6)
    assert done.cost.flops == plain.flops + 8.0


def test_a_spent_budget_leaves_the_answer_and_no_value():
    done = searched(Greedy(), coin(0.7), budget="4tok", confidence={"agreement": Agreement(n=4)})
    (told,) = done.found.estimates
    assert done.found.best.text in ("aaa", "bbb")
    # One token of the three further answers was left, and an unfinished answer states nothing.
    assert told.value == 1 / 4

    backend = KnownBackend(coin(0.7), verdict_flops=9.0)
    done = searched(Greedy(), backend=backend, budget="5FLOP", confidence={"p": PTrue(samples=0)})
    (told,) = done.found.estimates
    assert (told.value, told.cost.flops) == (None, 0.0)
    assert "budget was spent" in told.note


def test_no_value_is_not_a_value_of_zero():
    (told,) = searched(Greedy(), coin(0.7), confidence={"said": Verbalised()}).found.estimates
    assert told.value is None
    assert "says nothing" in told.note


@pytest.mark.parametrize("value", [1.5, -0.2, float("nan")])
def test_a_number_that_is_no_share_is_an_error(value):
    (done,) = Driver(KnownBackend(coin())).run([job(Greedy(), confidence={"x": Fixed(value)})])
    assert isinstance(done.error, ModelError)


def test_a_back_end_that_lacks_an_ability_is_refused_before_any_request():
    backend = KnownBackend(coin())
    backend.abilities -= {"verdicts"}
    with pytest.raises(UsageError, match="verdicts"):
        searched(Greedy(), backend=backend, confidence={"p": PTrue()})
    assert backend.asked == []


def test_samples_are_the_whole_answers_to_the_question_alone():
    seen = []

    class Asides(Scorer):
        def confidence(self, question, answer, samples):
            seen.append([one.text for one in samples])
            yield from ()
            return 1.0

    class Mixed(MajorityVote):
        def search(self, start, rng):
            found = yield from super().search(start, rng)
            aside = yield from write([type(start)(question="Rate it.")])
            cut = yield Write((start,), max_tokens=1)
            considered = (*found.considered, *aside, *cut)
            return type(found)(found.best, considered)

    searched(Mixed(n=2), coin(1.0), confidence={"x": Asides()})
    assert seen == [["aaa", "aaa"]]

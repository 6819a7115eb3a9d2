"""Attempts behind an imperfect verifier, against the exact law of Beta success rates."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import betaln
from scipy.stats import betabinom

from forethought.beliefs.success import Beta
from forethought.contracts.errors import UsageError
from forethought.contracts.forecast import Attempts
from forethought.evaluation.attempts import ImperfectVerifier, attempts
from forethought.evaluation.draws import Draws
from forethought.numerics.verifiers import Kind, Resampling, Verifier
from tests.evaluation.test_curves import population


def expected(a: float, b: float, right: int, wrong: int) -> float:
    """The mean of p^right (1 - p)^wrong where p follows Beta(a, b)."""
    return math.exp(betaln(a + right, b + wrong) - betaln(a, b))


def marginal(a: float, b: float, k: int, verifier: ImperfectVerifier) -> float:
    """What attempt k adds to the expected reward, term by term of the binomial theorem.

    An attempt is rejected with probability (1 - c) p + s (1 - p).
    """
    passes, c = verifier.false_positives or 0.0, verifier.completeness
    total = 0.0
    for i in range(k):
        ways = math.comb(k - 1, i) * (1 - c) ** i * (1 - passes) ** (k - 1 - i)
        one = c * expected(a, b, i + 1, k - 1 - i)
        two = verifier.penalty * passes * expected(a, b, i, k - i)
        total += ways * (one - two - verifier.price * expected(a, b, i, k - 1 - i))
    return total


def best_of(a: float, b: float, verifier: ImperfectVerifier) -> tuple[int, float]:
    """The best number of attempts and its reward."""
    gains = [marginal(a, b, k, verifier) for k in range(1, 60)]
    totals = [0.0, *np.cumsum(gains)]
    best = int(np.argmax(totals))
    assert best < 50, "the search stops too early"
    return best, float(totals[best])


def told(drawn: list[Draws], verifier: ImperfectVerifier) -> Attempts:
    found, reason = attempts(drawn, verifier, np.random.default_rng(0))
    assert found is not None, reason
    return found


CASES = [
    ImperfectVerifier(0.05),
    ImperfectVerifier(0.1, penalty=2.0),
    ImperfectVerifier(0.05, completeness=0.6),
    ImperfectVerifier(0.0, price=0.03),
    ImperfectVerifier(0.05, 1.0, 0.8, 0.02),
]


@pytest.mark.parametrize("verifier", CASES)
@pytest.mark.parametrize("count", [4, 8, 16])
def test_the_best_number_of_attempts_does_not_depend_on_how_many_answers_were_drawn(
    count: int, verifier: ImperfectVerifier
) -> None:
    # Counts in exact proportion to their beta-binomial law, so that nothing is left to chance.
    a, b = 0.8, 1.2
    shares = betabinom(count, a, b).pmf(range(count + 1))
    kinds = tuple(
        Kind(float(share * w), float(p))
        for c, share in enumerate(shares)
        for p, w in zip(*Beta(a, b).given(count, c).nodes(), strict=True)
    )
    rates = Verifier(verifier.completeness, 1 - (verifier.false_positives or 0.0))
    trials = Resampling(kinds, rates, verifier.penalty, verifier.price)
    best, reward = best_of(a, b, verifier)

    assert trials.best() == best
    assert trials.reward(best) == pytest.approx(reward, abs=1e-9)
    # What the plain shares of right answers say instead stops too early.
    plain = Resampling(
        tuple(Kind(float(share), c / count) for c, share in enumerate(shares)),
        rates,
        verifier.penalty,
        verifier.price,
    )
    assert plain.best() < best + (count == 16)


@pytest.mark.parametrize("count", [4, 8])
def test_drawn_answers_give_it_back_within_its_interval(count: int) -> None:
    verifier = ImperfectVerifier(0.05)
    best, reward = best_of(0.8, 1.2, verifier)
    found = told(population(300, count, seed=5, a=0.8, b=1.2), verifier)

    assert found.fewest is not None
    assert found.most is not None
    assert found.best is not None
    assert found.fewest <= min(found.best, best)
    assert found.most >= max(found.best, best)
    assert found.best == pytest.approx(best, abs=4)
    assert found.reward_interval is not None
    assert found.reward_interval.low < reward < found.reward_interval.high
    assert found.success == pytest.approx((0.8, 1.2), rel=0.3)


def test_a_price_and_a_verifier_that_rejects_right_answers_make_attempts_worth_less() -> None:
    drawn = population(40, 4, seed=3, a=0.8, b=1.2)
    plain = told(drawn, ImperfectVerifier(0.05))
    dear = told(drawn, ImperfectVerifier(0.05, price=0.1))
    strict = told(drawn, ImperfectVerifier(0.05, completeness=0.5))

    assert plain.best is not None
    assert dear.best is not None
    assert dear.best < plain.best
    assert dear.reward < plain.reward
    assert dear.first == pytest.approx(plain.first - 0.1)
    assert strict.right < plain.right
    assert (strict.completeness, dear.price) == (0.5, 0.1)


def test_without_false_positives_and_a_price_any_number_of_attempts_pays() -> None:
    found = told(population(20, 8, seed=3, a=0.5, b=0.5), ImperfectVerifier(0.0))

    assert found.best is None
    assert found.most is None
    assert found.tries == math.inf


def test_the_bootstrap_draws_whole_clusters() -> None:
    drawn = population(40, 4, seed=3, a=0.8, b=1.2)
    apart = told(drawn, ImperfectVerifier(0.1))
    together = told([replace(one, cluster="one") for one in drawn], ImperfectVerifier(0.1))

    assert together.fewest == together.best == together.most
    assert apart.reward_interval is not None
    assert apart.reward_interval.low < apart.reward < apart.reward_interval.high


def test_no_verifier_and_too_few_questions_have_no_attempts() -> None:
    drawn = population(7, 8, seed=3)
    rng = np.random.default_rng(0)

    assert attempts(drawn, ImperfectVerifier(), rng) == (None, "")
    found, reason = attempts(drawn, ImperfectVerifier(0.1), rng)
    assert found is None
    assert reason.startswith("7 questions are too few")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"false_positives": 1.5}, "a share of 1.5 for false positives is not between 0 and 1"),
        ({"completeness": -0.1}, "a share of -0.1 for completeness is not between 0 and 1"),
        ({"penalty": -1.0}, "a penalty of -1 is not 0 or more"),
        ({"price": math.inf}, "a price of an attempt of inf is not 0 or more"),
        ({"price": math.nan}, "a price of an attempt of nan is not 0 or more"),
    ],
)
def test_bad_rates_and_prices_are_refused(settings: dict[str, float], told: str) -> None:
    with pytest.raises(UsageError) as refused:
        ImperfectVerifier(**settings)
    assert refused.value.message == told


def judged(scores: list[list[float | None]], right: list[list[float]]) -> list[Draws]:
    """Questions with the scorer's scores of their answers."""
    made = population(len(right), 4, seed=0, a=1.0, b=1.0)
    return [
        replace(one, right=tuple(own), scores=tuple(told))
        for one, own, told in zip(made, right, scores, strict=True)
    ]


def test_a_measured_verifier_has_the_rates_of_the_stored_scores() -> None:
    right = [[1.0, 1.0, 0.0, 0.0]] * 10
    scores = [[0.9, 0.2, 0.6, 0.1]] * 5 + [[0.5, 0.8, 0.2, 0.4]] * 5
    drawn = judged(scores, right)

    found = told(drawn, ImperfectVerifier(measured=True))

    # 15 of 20 right answers are accepted, and 5 of 20 wrong ones.
    assert (found.completeness, found.false_positives, found.measured) == (0.75, 0.25, True)
    stated = told(drawn, ImperfectVerifier(0.25, completeness=0.75))
    assert replace(found, measured=False) == stated


@pytest.mark.parametrize(
    ("scores", "right"),
    [
        ([[None] * 4] * 10, [[1.0, 0.0, 0.0, 0.0]] * 10),
        ([[-3.0, 0.1, 0.2, 0.3]] * 10, [[1.0, 0.0, 0.0, 0.0]] * 10),
        ([[0.5] * 4] * 10, [[0.0] * 4] * 10),
    ],
)
def test_rates_that_scores_do_not_show_are_not_measured(scores, right) -> None:
    found, reason = attempts(
        judged(scores, right), ImperfectVerifier(measured=True), np.random.default_rng(0)
    )

    assert found is None
    assert "no scorer judged" in reason
    with pytest.raises(UsageError, match="both stated and to be measured"):
        ImperfectVerifier(0.1, measured=True)


def test_later_accepted_answers_are_right_less_often() -> None:
    """Against a simulation of 200,000 questions; its error is about 0.003."""
    found = told(population(300, 8, seed=5, a=0.8, b=1.2), ImperfectVerifier(0.05))
    assert found.best is not None
    assert found.success is not None

    rng = np.random.default_rng(0)
    rates = rng.beta(*found.success, 200_000)
    open_, first, last = np.ones(len(rates), bool), None, None
    for _ in range(found.best):
        right = rng.random(len(rates)) < rates
        accepted = open_ & (right | (rng.random(len(rates)) < 0.05))
        last = right[accepted].mean()
        first = last if first is None else first
        open_ &= ~accepted

    assert found.first_right == pytest.approx(first, abs=0.02)
    assert found.last_right == pytest.approx(last, abs=0.05)
    assert found.last_right < found.first_right
    assert found.accepted == pytest.approx(1 - open_.mean(), abs=0.02)

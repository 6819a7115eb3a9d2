"""Score and cost against the number of answers, computed from stored answers alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from forethought.contracts.comparison import Interval
from forethought.contracts.forecast import Ahead, ChoiceAhead, Curve, Law, Reached
from forethought.evaluation.attempts import ImperfectVerifier, attempts
from forethought.evaluation.choice_curves import CurveUnit, choice_ahead
from forethought.evaluation.draws import Draws
from forethought.evaluation.look_ahead import (
    LookAhead,
    is_countable,
    powers_of_two,
    surprise,
    unsolved,
)
from forethought.numerics.coverage import PowerLaw, coverage, extrapolated, log_spaced
from forethought.numerics.equal_cost import UnitCost
from forethought.numerics.intervals import mean_interval
from forethought.numerics.selection import best_of_k, vote_of_k

FEWEST_ANSWERS = 4
"""Answers per question below which no power law is fitted."""
FEWEST_QUESTIONS = 8
"""Questions below which no power law is fitted."""
FURTHER = (2, 4, 10)
"""Extrapolate to these multiples of the number of stored answers."""

ScoreOfK = Callable[[Draws, int], float]
"""Expected score of k answers to a question, under one way to choose among them."""


def oracle(one: Draws, k: int) -> float:
    """Expected score of the best of k answers; pass@k if scores are 0 or 1."""
    return best_of_k(one.right, one.right, k)


def vote(one: Draws, k: int) -> float:
    """Expected score of a majority vote over k answers; tied groups share the credit."""
    return vote_of_k(one.groups, one.right, k)


def likely(one: Draws, k: int) -> float:
    """Expected score of the likeliest of k answers."""
    return best_of_k(one.likelihood or (), one.right, k)


def scored(one: Draws, k: int) -> float:
    """Expected score of the answer that the scorer ranks first among k."""
    return best_of_k(one.ranks or (), one.right, k)


def random_answer(one: Draws) -> float:
    """Expected score of one random answer."""
    return math.fsum(one.right) / one.count


def mean_at(drawn: Sequence[Draws], each: ScoreOfK, k: int) -> Interval:
    """Mean of `each` over questions, with its clustered 95 % interval."""
    # Rounding of summed probabilities leaves [0, 1] by a few ulps.
    values = [min(1.0, max(0.0, round(each(one, k), 12))) for one in drawn]
    return mean_interval(values, [one.cluster for one in drawn])


def curve(
    recipe: str,
    task: str,
    drawn: Sequence[Draws],
    *,
    scorer: str = "",
    verifier: ImperfectVerifier | None = None,
    beyond: LookAhead | None = None,
    seed: int = 0,
) -> Curve:
    """Score and cost of one recipe with fewer answers, and extrapolated to more.

    Without `beyond` there are no beliefs about more answers.
    """
    most = min(one.count for one in drawn)
    at = beyond.further(most) if beyond and is_countable(drawn) else []
    law, no_law = _law(drawn, seed)
    ways = _ways(drawn, scorer)
    choices, no_choices = _choices(drawn, ways, beyond)
    behind, no_attempts = attempts(
        drawn, verifier or ImperfectVerifier(), np.random.default_rng(seed)
    )
    return Curve(
        recipe=recipe,
        task=task,
        questions=len(drawn),
        answers=most,
        random=mean_at(drawn, lambda one, _: random_answer(one), 1),
        reached=tuple(_reached(drawn, k, ways) for k in powers_of_two(most)),
        scorer=scorer,
        law=law,
        no_law=no_law,
        further=beyond.beliefs(drawn, at, token_price(drawn), flop_price(drawn)) if beyond else (),
        surprise=surprise(drawn) if at else None,
        attempts=behind,
        no_attempts=no_attempts,
        unsolved=unsolved(drawn) if at else None,
        choices=choices,
        no_choices=no_choices,
    )


def _choices(
    drawn: Sequence[Draws], ways: Mapping[str, ScoreOfK], beyond: LookAhead | None
) -> tuple[dict[str, ChoiceAhead], dict[str, str]]:
    """Forecasts of choices by score and by likelihood, and the reasons for missing ones."""
    if beyond is None or beyond.curves is None:
        return {}, {}
    most = min(one.count for one in drawn)
    unit, found, missing = CurveUnit(beyond.up_to), dict[str, ChoiceAhead](), dict[str, str]()
    for name, each in ways.items():
        scores = [mean_at(drawn, each, k).value for k in unit.seen(most)]
        ahead, reason = choice_ahead(beyond.curves, scores, unit, beyond.further(most))
        if ahead is None:
            missing[name] = reason
        else:
            found[name] = ahead
    return found, missing


def token_price(drawn: Sequence[Draws]) -> UnitCost:
    """Mean tokens per question of k answers, without scoring."""
    return _mean_price([UnitCost(one.tokens.once, _each(one, one.tokens.answers)) for one in drawn])


def flop_price(drawn: Sequence[Draws]) -> UnitCost:
    """Mean FLOPs per question of k answers, without scoring."""
    return _mean_price([UnitCost(one.flops.once, _each(one, one.flops.answers)) for one in drawn])


def scoring_each(drawn: Sequence[Draws]) -> tuple[float, float]:
    """Mean tokens and FLOPs of the scorer per answer."""
    tokens = [_each(one, one.tokens.scoring) for one in drawn]
    flops = [_each(one, one.flops.scoring) for one in drawn]
    return math.fsum(tokens) / len(drawn), math.fsum(flops) / len(drawn)


def has_likelihood(drawn: Sequence[Draws]) -> bool:
    """Whether every answer has its log-probability."""
    return all(one.likelihood is not None for one in drawn)


def has_scores(drawn: Sequence[Draws]) -> bool:
    """Whether a scorer scored the answers to every question."""
    return all(one.ranks is not None for one in drawn)


def _ways(drawn: Sequence[Draws], scorer: str) -> dict[str, ScoreOfK]:
    """Ways to choose an answer besides a vote; the scorer counts if it is not the likelihood."""
    ways: dict[str, ScoreOfK] = {"likely": likely} if has_likelihood(drawn) else {}
    other = has_scores(drawn) and not (ways and scorer == "likelihood")
    return ways | ({"scored": scored} if other else {})


def _reached(drawn: Sequence[Draws], k: int, ways: Mapping[str, ScoreOfK]) -> Reached:
    tokens, flops = scoring_each(drawn)
    return Reached(
        answers=k,
        oracle=mean_at(drawn, oracle, k),
        vote=mean_at(drawn, vote, k),
        likely=mean_at(drawn, ways["likely"], k) if "likely" in ways else None,
        scored=mean_at(drawn, ways["scored"], k) if "scored" in ways else None,
        tokens=token_price(drawn).of(k),
        flops=flop_price(drawn).of(k),
        scoring_tokens=tokens * k,
        scoring_flops=flops * k,
    )


def _each(one: Draws, whole: float) -> float:
    """The cost per answer, from the cost of all answers of a run."""
    return whole * one.runs / one.count


def _mean_price(prices: Sequence[UnitCost]) -> UnitCost:
    count = len(prices)
    return UnitCost(
        math.fsum(one.once for one in prices) / count,
        math.fsum(one.each for one in prices) / count,
    )


def _law(drawn: Sequence[Draws], seed: int) -> tuple[Law | None, str]:
    """The fitted power law and its extrapolation, or None and the reason."""
    samples = [one.count for one in drawn]
    right = [round(math.fsum(one.right)) for one in drawn]
    most = min(samples)
    if most < FEWEST_ANSWERS or len(drawn) < FEWEST_QUESTIONS:
        return None, (
            f"{most} answers to {len(drawn)} questions are too few to look ahead: "
            f"{FEWEST_ANSWERS} answers to {FEWEST_QUESTIONS} questions are the least"
        )
    if not is_countable(drawn):
        return None, "the law is one of answers that are right or wrong, and some are in part"
    if not any(right) or right == samples:
        return None, f"{'no' if not any(right) else 'every'} answer was right, which shows no law"
    k = log_spaced(most)
    seen = coverage(samples, right, k)
    further = [times * most for times in FURTHER]
    law = PowerLaw.fitted(k, seen.tolist())
    clusters = [one.cluster for one in drawn]
    ahead = extrapolated(samples, right, further, np.random.default_rng(seed), clusters)
    tokens, flops = token_price(drawn), flop_price(drawn)
    return Law(
        a=law.a,
        b=law.b,
        misfit=max(abs(law.at(one) - value) for one, value in zip(k, seen, strict=True)),
        ahead=tuple(
            Ahead(count, interval, tokens.of(count), flops.of(count))
            for count, interval in zip(further, ahead, strict=True)
        ),
    ), ""

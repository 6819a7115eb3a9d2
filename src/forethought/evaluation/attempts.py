"""How many attempts pay behind an imperfect verifier, from stored answers alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from forethought.beliefs.success import Beta
from forethought.contracts.comparison import Interval
from forethought.contracts.errors import UsageError
from forethought.contracts.forecast import Attempts
from forethought.evaluation.draws import Draws
from forethought.numerics.verifiers import Kind, Resampling, Verifier

FEWEST_QUESTIONS = 8
"""Questions below which no law of success rates is fitted."""
RESAMPLES = 200
"""Bootstrap draws of questions; each fits the law anew."""


@dataclass(frozen=True)
class ImperfectVerifier:
    """A verifier that errs, and the cost of its errors and of each attempt."""

    false_positives: float | None = None
    """Share of wrong answers that it accepts; None leaves the verifier out of the forecast."""
    penalty: float = 1.0
    """Cost of an accepted wrong answer, where a right one is worth 1."""
    completeness: float = 1.0
    """Share of right answers that it accepts."""
    price: float = 0.0
    """Cost of an attempt, where a right answer is worth 1."""
    measured: bool = False
    """Whether both rates are those of the stored scores, where 1/2 and above accepts."""

    def __post_init__(self) -> None:
        if self.measured and (self.false_positives is not None or self.completeness != 1.0):
            raise UsageError(
                "the verifier's rates are both stated and to be measured",
                "leave out --false-positives and --completeness, or --measured-verifier",
            )
        for name, share in (
            ("false positives", self.false_positives), ("completeness", self.completeness)
        ):  # fmt: skip
            if share is not None and not 0 <= share <= 1:
                raise UsageError(
                    f"a share of {share:g} for {name} is not between 0 and 1",
                    "give a share from 0 to 1, such as 0.05",
                )
        for name, cost in (("penalty", self.penalty), ("price of an attempt", self.price)):
            if not 0 <= cost < math.inf:
                raise UsageError(f"a {name} of {cost:g} is not 0 or more", "give 0 or more")


def attempts(
    drawn: Sequence[Draws], verifier: ImperfectVerifier, rng: np.random.Generator
) -> tuple[Attempts | None, str]:
    """The number of attempts of greatest reward with its 95 % interval, or None and the reason."""
    if verifier.measured:
        rates = _rates(drawn)
        if rates is None:
            return None, "no scorer judged every answer between 0 and 1, right and wrong ones"
        passes, known = 1 - rates.soundness, rates.completeness
        stated = replace(verifier, false_positives=passes, completeness=known, measured=False)
        found, reason = attempts(drawn, stated, rng)
        return found and replace(found, measured=True), reason
    if verifier.false_positives is None:
        return None, ""
    if any(value not in (0.0, 1.0) for one in drawn for value in one.right):
        return None, "a verifier accepts or rejects, and some answers are right in part"
    if len(drawn) < FEWEST_QUESTIONS:
        return None, (
            f"{len(drawn)} questions are too few for the law of their success rates: "
            f"{FEWEST_QUESTIONS} are the least"
        )
    law, trials = _resampling(drawn, verifier)
    best = trials.best()
    bests, rewards = _bootstrapped(drawn, verifier, rng)
    reward = trials.reward(best)
    low, high = np.quantile(rewards, [0.025, 0.975])
    return Attempts(
        false_positives=verifier.false_positives,
        penalty=verifier.penalty,
        best=_number(best),
        reward=reward,
        right=trials.right(best),
        wrong=trials.wrong(best),
        tries=_tries(trials, best, law, verifier),
        first=trials.reward(1),
        completeness=verifier.completeness,
        price=verifier.price,
        fewest=_number(min(best, float(np.quantile(bests, 0.025, method="lower")))),
        most=_number(max(best, float(np.quantile(bests, 0.975, method="higher")))),
        reward_interval=Interval(reward, min(float(low), reward), max(float(high), reward)),
        success=(law.a, law.b),
        accepted=1 - trials.nothing(best),
        first_right=trials.accuracy(1),
        last_right=trials.accuracy(round(best)) if 0 < best < math.inf else math.nan,
    ), ""


def _rates(drawn: Sequence[Draws]) -> Verifier | None:
    """The observed rates of the scorer as a verifier; None if they are unknown."""
    pairs = [
        (score, right)
        for one in drawn
        for score, right in zip(one.scores, one.right, strict=True)
        if score is not None
    ]
    known = bool(pairs) and all(0 <= score <= 1 for score, _ in pairs)
    if not known or {right for _, right in pairs} != {0.0, 1.0}:
        return None
    return Verifier.of([score >= 0.5 for score, _ in pairs], [right == 1 for _, right in pairs])


def _resampling(drawn: Sequence[Draws], verifier: ImperfectVerifier) -> tuple[Beta, Resampling]:
    """The law of success rates, and resampling on questions that follow it given their answers."""
    counts = [(one.count, round(math.fsum(one.right))) for one in drawn]
    law = Beta.fitted(*map(list, zip(*counts, strict=True)))
    kinds: list[Kind] = []
    for (count, right), times in Counter(counts).items():
        rates, shares = law.given(count, right).nodes()
        shares = shares * times / len(drawn)
        kinds += [Kind(float(s), float(r)) for r, s in zip(rates, shares, strict=True)]
    assert verifier.false_positives is not None, "checked before"
    rates_of = Verifier(verifier.completeness, 1.0 - verifier.false_positives)
    return law, Resampling(tuple(kinds), rates_of, verifier.penalty, verifier.price)


def _bootstrapped(
    drawn: Sequence[Draws], verifier: ImperfectVerifier, rng: np.random.Generator
) -> tuple[list[float], list[float]]:
    """The best number of attempts and its reward, on draws of whole clusters of questions."""
    clusters: dict[str, list[Draws]] = {}
    for one in drawn:
        clusters.setdefault(one.cluster, []).append(one)
    groups = list(clusters.values())
    bests, rewards = [], []
    for _ in range(RESAMPLES):
        chosen = rng.integers(len(groups), size=len(groups))
        _, trials = _resampling([one for at in chosen for one in groups[at]], verifier)
        best = trials.best()
        bests.append(best)
        rewards.append(trials.reward(best))
    return bests, rewards


def _tries(trials: Resampling, best: float, law: Beta, verifier: ImperfectVerifier) -> float:
    # A sound verifier accepts nothing on the hardest questions, where attempts have no mean.
    endless = math.isinf(best) and not verifier.false_positives and law.a <= 1
    return math.inf if endless else trials.tries(best)


def _number(attempts: float) -> int | None:
    """A number of attempts; None if it is infinite."""
    return None if math.isinf(attempts) else round(attempts)

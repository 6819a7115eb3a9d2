"""The bank of simulated worlds against loops, the exact grid and worlds that it never saw."""

from __future__ import annotations

from dataclasses import replace
from math import comb

import numpy as np
import pytest
from scipy.special import betainc, expit

from forethought.beliefs.difficulty import DifficultyBank, likelihoods, prior_driven
from forethought.beliefs.grid_bank import GridBank
from forethought.beliefs.success import ZeroInflatedBeta, zero_inflated_grid
from forethought.beliefs.worlds import histograms, log_odds, points, rates
from forethought.contracts.beliefs import Counts
from forethought.contracts.errors import BadParameterError, UsageError
from tests.beliefs.worlds_by_hand import (
    World,
    coverage_of,
    even_logarithms,
    heavy_tails,
    own_prior,
    three_groups,
    two_bumps,
)

AT = (16, 64, 256)
BANK = DifficultyBank.simulated(AT, worlds=3000)


def test_worlds_are_laws_of_rates() -> None:
    laws = histograms(points(np.random.default_rng(0), 500))

    assert laws.shape == (500, 96)
    assert laws.min() >= 0
    assert laws.sum(axis=1) == pytest.approx(np.ones(500))
    assert (laws[:, 0] > 0).mean() == pytest.approx(0.3, abs=0.07)
    assert rates()[0] == 0


def test_likelihoods_are_binomial() -> None:
    found = likelihoods([(5, 2), (3, 0), (4, 4)])

    for node in (0, 1, 40, 95):
        p = float(rates()[node])
        expected = [comb(n, c) * p**c * (1 - p) ** (n - c) for n, c in ((5, 2), (3, 0), (4, 4))]
        assert found[node] == pytest.approx(expected, rel=1e-9)


def test_the_posterior_is_bayes_rule_world_by_world() -> None:
    evidence = Counts.of([4, 2, 4], [1, 0, 1])
    few = GridBank(BANK.bank.cube[:200], BANK.bank.laws[:200], histograms)
    weights, after = np.ones(200), np.zeros((200, 3))
    for world, law in enumerate(few.laws):
        for question, (n, c) in enumerate(zip(evidence.samples, evidence.right, strict=True)):
            seen = [
                share * p**c * (1 - p) ** (n - c) for share, p in zip(law, rates(), strict=True)
            ]
            weights[world] *= sum(seen)
            after[world, question] = np.dot(seen, rates()) / sum(seen)

    found = replace(BANK, bank=few).posterior(evidence)

    assert found.grid.effective >= 30, "no chains"
    assert found.grid.weights == pytest.approx(weights / weights.sum(), rel=1e-9)
    assert found.next_success() == pytest.approx(weights @ after / weights.sum(), rel=1e-9)


def test_draws_agree_with_the_exact_mean() -> None:
    found = BANK.posterior(Counts.of(8, [0, 0, 0, 1, 2, 5, 8, 8] * 3))

    for k, mean in zip(AT, found.coverage(AT).mean, strict=True):
        # 1,000 draws of a mean whose standard deviation is below 0.1.
        assert mean == pytest.approx(found.solved_within(k).mean(), abs=0.012)
    # 1,000 draws of a rate whose standard deviation is below 0.2.
    assert found.success.mean(axis=0) == pytest.approx(found.next_success(), abs=0.025)
    assert found.next_success()[3] < found.next_success()[4]


def zero_inflated_laws(cube: np.ndarray) -> np.ndarray:
    """The laws of the exact grid; the only coordinate is the place in the grid."""
    zero, a, b = zero_inflated_grid()
    place = (cube[:, 0] * len(zero)).astype(int)
    edges = expit((log_odds()[1:] + log_odds()[:-1]) / 2)
    ends = np.concatenate(([0.0], edges, [1.0]))
    above = np.diff(betainc(a[place, None], b[place, None], ends), axis=1)
    return np.concatenate((zero[place, None], (1 - zero[place, None]) * above), axis=1)


@pytest.mark.parametrize("right", [[0] * 10 + [1, 2, 4, 3, 4], [4] * 9 + [3] * 6, [0] * 15])
def test_a_bank_of_the_exact_grids_laws_equals_the_exact_grid(right: list[int]) -> None:
    places = (np.arange(len(zero_inflated_grid()[0])) + 0.5) / len(zero_inflated_grid()[0])
    bank = GridBank.of(places[:, None], zero_inflated_laws)
    evidence = Counts.of(4, right)

    exact = ZeroInflatedBeta(AT).condition(evidence)
    found = DifficultyBank(bank, AT).condition(evidence)

    # Both have 1,000 draws of a standard deviation below 0.15.
    assert found.mean == pytest.approx(exact.mean, abs=0.02)
    assert found.interval() == pytest.approx(exact.interval(), abs=0.05)


def covered(world: World, samples: int, bank: DifficultyBank, worlds: int) -> np.ndarray:
    """The share of worlds whose coverage lies in the 90 % interval, at each k."""
    inside = []
    for seed in range(worlds):
        rng = np.random.default_rng(seed)
        success = world(rng, 40)
        belief = bank.condition(Counts.of(samples, rng.binomial(samples, success).tolist()))
        low, high = belief.interval().T
        truth = coverage_of(success, AT)
        inside.append((low <= truth + 1e-9) & (truth <= high + 1e-9))
    return np.mean(inside, axis=0)


def test_intervals_hold_the_truth_of_worlds_of_the_prior() -> None:
    # 40 worlds at three k that move together: a standard error of about 0.04.
    assert 0.8 <= covered(own_prior, 4, BANK, 40).mean() <= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("samples", [4, 16])
@pytest.mark.parametrize(
    ("world", "least", "most"),
    [
        (own_prior, (0.85, 0.85, 0.85), 0.96),
        (two_bumps, (0.8, 0.75, 0.75), 1.0),
        (three_groups, (0.8, 0.75, 0.75), 1.0),
        (even_logarithms, (0.8, 0.75, 0.75), 1.0),
        (heavy_tails, (0.8, 0.75, 0.75), 1.0),
    ],
)
def test_intervals_hold_the_truth_of_shapes_that_no_world_has(
    samples: int, world: World, least: tuple[float, ...], most: float
) -> None:
    # 300 worlds: a standard error of 0.02.
    found = covered(world, samples, DifficultyBank.simulated(AT), 300)

    assert (found >= least).all()
    assert (found <= most).all()


def test_more_samples_narrow_the_interval_on_average() -> None:
    widths = []
    for samples in (1, 4, 16):
        rng = np.random.default_rng(3)
        made = [rng.binomial(samples, own_prior(rng, 20)).tolist() for _ in range(12)]
        beliefs = [BANK.condition(Counts.of(samples, right)) for right in made]
        widths.append(np.mean([np.diff(one.interval(), axis=1) for one in beliefs]))

    assert widths[0] > widths[1] > widths[2]


def test_the_order_of_questions_makes_no_difference() -> None:
    one = BANK.condition(Counts.of([4, 4, 8, 8], [0, 3, 8, 1]))
    other = BANK.condition(Counts.of([8, 4, 8, 4], [1, 3, 8, 0]))

    assert one.draws == pytest.approx(other.draws)


def test_counts_that_no_world_explains_are_a_surprise() -> None:
    rng = np.random.default_rng(1)
    usual = rng.binomial(16, own_prior(rng, 60)).tolist()

    # Exactly half of every sixteen: a binomial spread is missing.
    assert BANK.posterior(Counts.of(16, [8] * 60)).surprise() < 0.02
    assert BANK.posterior(Counts.of(16, usual)).surprise() > 0.1
    # Hopeless questions are nothing odd, though no other counts are as likely.
    assert BANK.posterior(Counts.of(4, [0] * 9)).surprise() > 0.5


def test_a_question_without_samples_has_the_law_of_the_others() -> None:
    easy = BANK.posterior(Counts.of([8] * 20 + [0], [8] * 20 + [0])).next_success()
    hard = BANK.posterior(Counts.of([8] * 20 + [0], [0] * 20 + [0])).next_success()

    assert easy[-1] > 0.8
    assert hard[-1] < 0.1


def test_forecasts_beyond_four_times_the_samples_are_prior_driven() -> None:
    evidence = Counts.of([4, 8], [1, 1])

    assert not prior_driven(16, evidence)
    assert prior_driven(17, evidence)


def test_bad_evidence_and_levels_are_refused() -> None:
    with pytest.raises(UsageError, match="5 right of 4 samples"):
        Counts.of(4, [5])
    with pytest.raises(UsageError, match="no questions"):
        BANK.condition(Counts((), ()))
    with pytest.raises(UsageError, match="2 numbers of samples and 1"):
        Counts((1, 2), (1,))
    with pytest.raises(BadParameterError, match="probability 1 has no ends"):
        BANK.condition(Counts.of(4, [1])).interval(1.0)

"""Mixtures as priors and posteriors, against quadrature."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit

from forethought.beliefs.amortised.distribution_transformer import (
    FilterLearner,
    MixtureNetwork,
    RateFilter,
    drawn_priors,
    filtered,
)
from forethought.beliefs.amortised.training import TrainingPlan, train
from forethought.beliefs.expected import DescribedScore
from forethought.beliefs.logit_mixture import LogitMixture
from forethought.contracts.beliefs import Counts
from forethought.contracts.errors import UnfitError, UsageError

PRIOR = LogitMixture(np.array([0.5, 0.3, 0.2]), np.array([-2.0, 0.5, 3.0]), np.array([0.5, 1, 0.4]))


def by_quadrature(prior: LogitMixture, evidence: Counts) -> tuple[float, float]:
    """Mean and standard deviation of the rate."""
    points = np.linspace(-12, 12, 4001)
    rate = expit(points)
    weight = prior.density(points)
    for made, good in zip(evidence.samples, evidence.right, strict=True):
        weight = weight * rate**good * (1 - rate) ** (made - good)
    weight /= weight.sum()
    mean = float(weight @ rate)
    return mean, float(np.sqrt(weight @ (rate - mean) ** 2))


def test_a_mixture_has_the_moments_and_quantiles_of_its_density() -> None:
    mean, spread = by_quadrature(PRIOR, Counts((), ()))
    drawn = PRIOR.sample(np.random.default_rng(0), 20_000)

    assert PRIOR.mean[0] == pytest.approx(mean, abs=1e-5)
    assert drawn.mean() == pytest.approx(mean, abs=0.01)
    assert drawn.std() == pytest.approx(spread, abs=0.01)
    assert PRIOR.interval()[0] == pytest.approx(np.quantile(drawn, [0.05, 0.95]), abs=0.01)


def test_components_are_equivariant_and_counts_have_no_order() -> None:
    torch.manual_seed(0)
    network = MixtureNetwork(16, 2).double().eval()
    prior = torch.from_numpy(drawn_priors(np.random.default_rng(0), 1))
    told, order = torch.randn(1, 3, 4).double(), torch.tensor([2, 0, 1])

    with torch.inference_mode():
        found, alone = network(prior, told)
        moved, _ = network(prior[:, order], told)
        mixed, _ = network(prior, told[:, order])

    assert torch.allclose(moved, found[:, order], atol=1e-10)
    assert torch.allclose(mixed, found, atol=1e-10)
    assert found[..., 0].exp().sum() == pytest.approx(1)
    assert alone.shape == found.shape


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("filter") / "n"
    plan = TrainingPlan(steps=150, batch=128, learning_rate=5e-3, warm_up=20, width=16, layers=1)
    train(FilterLearner(), plan, file, lambda step, loss: None)
    return file


@pytest.mark.parametrize("right", [1, 16, 31])
def test_a_little_training_moves_the_mixture_to_the_counts(trained: Path, right: int) -> None:
    flat = LogitMixture(np.array([0.4, 0.3, 0.3]), np.array([-2.5, 0.0, 2.5]), np.full(3, 1.0))
    evidence = Counts.of(32, [right])

    found = RateFilter.read(trained, flat).condition(evidence)

    mean, _ = by_quadrature(flat, evidence)
    assert found.mean[0] == pytest.approx(mean, abs=0.15)
    assert np.ptp(found.interval()) < np.ptp(flat.interval())


def test_a_posterior_serves_as_the_next_prior(trained: Path) -> None:
    first = RateFilter.read(trained, PRIOR)
    second = RateFilter(first.stored, first.condition(Counts.of(8, [7])))

    assert second.condition(Counts.of(8, [8])).mean[0] > PRIOR.mean[0]


def test_counts_of_any_size_are_filtered_in_portions(trained: Path) -> None:
    prior = DescribedScore(()).condition("sums").mixture()
    found = filtered(trained, prior, Counts.of(70, [49]))

    network = RateFilter.read(trained, prior)
    for made, good in ((32, 22), (32, 23), (6, 4)):
        network = RateFilter(network.stored, network.condition(Counts.of(made, [good])))
    assert found.means == pytest.approx(network.prior.means)
    assert prior.mean[0] == pytest.approx(0.5, abs=1e-6)
    assert found.mean[0] > 0.55
    with pytest.raises(UnfitError, match=r"guessing scores 0\.5"):
        DescribedScore(()).condition("a yes-or-no test").mixture()


def test_what_was_not_trained_is_refused(trained: Path) -> None:
    network = RateFilter.read(trained, PRIOR)
    with pytest.raises(UnfitError, match="1 counts of up to 33 samples"):
        network.condition(Counts.of(33, [1]))
    two = LogitMixture(np.array([0.5, 0.5]), np.zeros(2), np.ones(2))
    with pytest.raises(UnfitError, match="a prior of 2 components"):
        RateFilter(network.stored, two).condition(Counts.of(4, [1]))
    with pytest.raises(UsageError, match=r"sum to 1\.2"):
        LogitMixture(np.array([0.6, 0.6]), np.zeros(2), np.ones(2))
    with pytest.raises(UsageError, match="make no mixture"):
        LogitMixture(np.array([1.0]), np.zeros(1), np.zeros(1))

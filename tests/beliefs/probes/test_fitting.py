"""Heads against plain loops, finite differences, and torch's optimiser."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from forethought.beliefs.class_means import ClassMeans, Whitening
from forethought.beliefs.probes.fitting import (
    AdamW,
    HiddenLayer,
    Logistic,
    MeansOfClasses,
    cross_entropy,
    first_parts,
    folds_of,
    gradients,
    held_out,
    penalised_loss,
    standardised,
)
from forethought.numerics.ranking import auroc
from tests.beliefs.probes.probe_files import random_head

RNG = np.random.default_rng(7)
X = RNG.normal(0, 1, (24, 5))
SOFT = RNG.uniform(0, 1, 24)
WEIGHTS = RNG.uniform(0.2, 2, 24)


def sigmoid(z):
    return 1 / (1 + math.exp(-z))


def test_a_linear_head_gives_the_logistic_function_of_standardised_features():
    head = random_head(5)
    ((weight, bias),) = head.maps
    for state, (found,) in zip(X, head.probabilities(X), strict=True):
        z = bias[0]
        for place in range(5):
            z += weight[0, place] * (state[place] - head.mean[place]) / head.scale[place]
        assert found == pytest.approx(sigmoid(z), rel=1e-12)


def test_a_head_with_a_hidden_layer_gives_a_softmax_behind_rectified_units():
    head = random_head(5, classes=3, width=4)
    (first, bias), (second, last) = head.maps
    for state, found in zip(X, head.probabilities(X), strict=True):
        x = [(state[p] - head.mean[p]) / head.scale[p] for p in range(5)]
        units = [max(0.0, bias[u] + sum(first[u, p] * x[p] for p in range(5))) for u in range(4)]
        z = [last[c] + sum(second[c, u] * units[u] for u in range(4)) for c in range(3)]
        total = sum(math.exp(one) for one in z)
        assert found == pytest.approx([math.exp(one) / total for one in z], rel=1e-12)
    assert head.flops == 2 * (5 + 5 * 4 + 4 * 3)


def test_the_loss_is_the_weighted_cross_entropy_of_soft_labels_and_the_penalty():
    point, shares = RNG.normal(0, 1, 6), WEIGHTS / WEIGHTS.sum()
    expected = 0.0
    for x, y, share in zip(X, SOFT, shares, strict=True):
        p = sigmoid(sum(x[n] * point[n] for n in range(5)) + point[5])
        expected -= share * (y * math.log(p) + (1 - y) * math.log(1 - p))
    expected += 0.3 / 2 * sum(one**2 for one in point[:5])

    assert penalised_loss(point, X, SOFT, shares, 0.3)[0] == pytest.approx(expected, rel=1e-12)


def test_its_gradient_is_that_of_finite_differences():
    point, shares = RNG.normal(0, 1, 6), WEIGHTS / WEIGHTS.sum()
    _, gradient = penalised_loss(point, X, SOFT, shares, 0.3)
    for place in range(6):
        step = np.zeros(6)
        step[place] = 1e-6
        above = penalised_loss(point + step, X, SOFT, shares, 0.3)[0]
        below = penalised_loss(point - step, X, SOFT, shares, 0.3)[0]
        assert gradient[place] == pytest.approx((above - below) / 2e-6, abs=1e-8)


def test_the_fit_is_the_optimum_that_newtons_method_finds():
    shares = WEIGHTS / WEIGHTS.sum()
    mean, scale = standardised(X, WEIGHTS)
    z = np.hstack([(X - mean) / scale, np.ones((24, 1))])
    point, ridge = np.zeros(6), 0.1 * np.diag([1.0] * 5 + [0.0])
    for _ in range(30):
        p = 1 / (1 + np.exp(-z @ point))
        slope = z.T @ (shares * (p - SOFT)) + ridge @ point
        curve = (z * (shares * p * (1 - p))[:, None]).T @ z + ridge
        point -= np.linalg.solve(curve, slope)

    head = Logistic(0.1)(X, SOFT[:, None], WEIGHTS)
    ((weight, bias),) = head.maps
    assert np.append(weight[0], bias) == pytest.approx(point, abs=1e-4)


def test_a_soft_label_is_as_many_hard_ones():
    soft = Logistic(0.1)(X, np.full((24, 1), 0.25), np.ones(24))
    hard = Logistic(0.1)(
        np.repeat(X, 4, axis=0), np.tile([[1.0], [0.0], [0.0], [0.0]], (24, 1)), np.ones(96)
    )
    assert soft.probabilities(X) == pytest.approx(hard.probabilities(X), abs=1e-6)


def test_gradients_of_the_hidden_layer_are_torchs():
    parts = first_parts(5, 4, 3, np.random.default_rng(1))
    labels = np.eye(3)[RNG.integers(0, 3, 24)]
    tensors = [torch.tensor(part, requires_grad=True) for part in parts]
    first, bias, second, last = tensors
    logits = torch.relu(torch.tensor(X) @ first.T + bias) @ second.T + last
    losses = -(torch.log_softmax(logits, -1) * torch.tensor(labels)).sum(-1)
    (losses * torch.tensor(WEIGHTS)).mean().backward()

    for mine, tensor in zip(gradients(parts, X, labels, WEIGHTS), tensors, strict=True):
        assert mine == pytest.approx(tensor.grad.numpy(), abs=1e-12)


def test_adamw_takes_the_steps_of_its_definition():
    start, slopes = 0.7, RNG.normal(0, 1, 20)
    part = np.array([start])
    optimiser = AdamW([part], 1e-2, 0.05)
    point, mean, square = start, 0.0, 0.0
    for number, slope in enumerate(slopes, 1):
        optimiser.step([np.array([slope])])
        mean = 0.9 * mean + 0.1 * slope
        square = 0.999 * square + 0.001 * slope**2
        point -= 1e-2 * 0.05 * point
        steady = math.sqrt(square / (1 - 0.999**number)) + 1e-8
        point -= 1e-2 * mean / (1 - 0.9**number) / steady
        assert part[0] == pytest.approx(point, rel=1e-12)


def test_separable_states_are_learnt_and_permuted_labels_are_chance():
    rng = np.random.default_rng(3)
    classes = np.arange(240) % 3
    states = np.eye(3)[classes] * 4 + rng.normal(0, 0.3, (240, 3))
    labels, clusters = np.eye(3)[classes], [str(n // 2) for n in range(240)]
    folds, ones = folds_of(clusters, rng), np.ones(240)
    fit = HiddenLayer(width=8, epochs=15)

    told = held_out(fit, states, labels, ones, folds)
    assert (told.argmax(1) == classes).mean() == 1.0
    permuted = rng.permutation(labels)
    chance = held_out(fit, states, permuted, ones, folds)
    # 240 draws of a rank statistic near 0.5 have a deviation of about 0.04.
    assert auroc(chance[:, 0], permuted[:, 0]) == pytest.approx(0.5, abs=0.15)


def test_no_head_sees_the_states_that_it_is_judged_by():
    seen = []

    def fit(states, labels, weights):
        seen.append(set(states[:, 0].tolist()))
        return random_head(1)

    clusters = [f"q{n // 3}" for n in range(30)]
    folds = folds_of(clusters, np.random.default_rng(0))
    states = np.arange(30.0)[:, None]
    held_out(fit, states, np.zeros((30, 1)), np.ones(30), folds)

    assert len(seen) == 5
    for fold, known in zip(np.unique(folds), seen, strict=True):
        assert known == set(np.nonzero(folds != fold)[0].astype(float).tolist())
    for name in set(clusters):
        own = [fold for fold, one in zip(folds, clusters, strict=True) if one == name]
        assert len(set(own)) == 1


def test_cross_entropy_of_one_logit_is_that_of_two_classes():
    logits = RNG.normal(0, 2, (24, 1))
    both = np.hstack([logits, np.zeros((24, 1))])
    labels = np.stack([SOFT, 1 - SOFT], axis=1)
    assert cross_entropy(logits, SOFT[:, None]) == pytest.approx(cross_entropy(both, labels))


def classes_in_noise(count, size, seed):
    """States around three means, and their classes as shares."""
    rng = np.random.default_rng(seed)
    means = np.random.default_rng(0).normal(0, 0.6, (3, size))
    own = np.arange(count) % 3
    return means[own] + rng.normal(0, 1, (count, size)), np.eye(3)[own]


def test_a_head_of_class_means_is_the_posterior_of_equally_many_examples():
    states, labels = classes_in_noise(30, 4, 1)
    head = MeansOfClasses(noise=2.0)(states, labels, np.ones(30))

    white = Whitening.fitted(states, labels)
    exact = ClassMeans.prior(3, 4, noise=2.0).including(white.of(states), labels)
    assert head.probabilities(X[:, :4]) == pytest.approx(
        np.exp(exact.log_posterior(white.of(X[:, :4]))), rel=1e-9
    )
    heavy = MeansOfClasses()(states, labels, np.where(labels[:, 0] == 1, 3.0, 1.0))
    light = MeansOfClasses()(states, labels, np.ones(30))
    assert heavy.probabilities(X[:, :4])[:, 0].mean() > light.probabilities(X[:, :4])[:, 0].mean()


def test_with_few_states_class_means_predict_better_than_a_hidden_layer():
    states, labels = classes_in_noise(24, 20, 2)
    later, truth = classes_in_noise(300, 20, 3)

    losses = [
        cross_entropy(fit(states, labels, np.ones(24)).logits(later), truth).mean()
        for fit in (MeansOfClasses(), HiddenLayer())
    ]

    assert losses[0] < losses[1]
    assert losses[0] < math.log(3)

"""Fits heads to states and soft labels: logistic regression, and one hidden layer.

Labels are shares [N, classes]: a state may belong to a class by a part, as k right answers of M do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logsumexp, softmax

from forethought.beliefs.class_means import ClassMeans, Whitening
from forethought.beliefs.probes.head import Floats, ProbeHead

Fit = Callable[[Floats, Floats, Floats], ProbeHead]
"""States [N, D], labels [N, classes] and weights [N] to a head."""
FOLDS = 5


def standardised(states: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation [D] of states; 1 for a constant feature."""
    shares = weights / weights.sum()
    mean = shares @ states
    spread = np.sqrt(shares @ np.square(states - mean))
    return mean, np.where(spread > 1e-8, spread, 1.0)


@dataclass(frozen=True)
class Logistic:
    """Logistic regression with an L2 penalty on standardised features.

    Minimises the weighted mean cross-entropy plus penalty / 2 times the squared weights.
    """

    penalty: float = 0.1

    def __call__(self, states: Floats, labels: Floats, weights: Floats) -> ProbeHead:
        """The head of least loss, found by L-BFGS."""
        mean, scale = standardised(states, weights)
        x, y = (states - mean) / scale, labels[:, 0]
        shares = weights / weights.sum()

        def loss(point: Floats) -> tuple[float, Floats]:
            return penalised_loss(point, x, y, shares, self.penalty)

        start = np.zeros(x.shape[1] + 1)
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500})
        return ProbeHead(mean, scale, ((found.x[None, :-1], found.x[-1:]),))


def penalised_loss(
    point: Floats, x: Floats, y: Floats, shares: Floats, penalty: float
) -> tuple[float, Floats]:
    """The loss of weights and bias `point` [D + 1], and its gradient."""
    logits = x @ point[:-1] + point[-1]
    # log(1 + exp(z)) - y z is the cross-entropy of a soft label.
    loss = shares @ (np.logaddexp(0.0, logits) - y * logits)
    slope = shares * (expit(logits) - y)
    gradient = np.append(slope @ x + penalty * point[:-1], slope.sum())
    return float(loss + penalty / 2 * np.square(point[:-1]).sum()), gradient


@dataclass(frozen=True)
class HiddenLayer:
    """A softmax over classes behind one hidden layer of ReLUs, by AdamW on small batches."""

    width: int = 256
    epochs: int = 100
    rate: float = 1e-3
    decay: float = 0.01
    batch: int = 32
    seed: int = 0

    def __call__(self, states: Floats, labels: Floats, weights: Floats) -> ProbeHead:
        """The head after all epochs."""
        mean, scale = standardised(states, weights)
        x, shares = (states - mean) / scale, weights / weights.mean()
        rng = np.random.default_rng(self.seed)
        parts = first_parts(x.shape[1], self.width, labels.shape[1], rng)
        optimiser = AdamW(parts, self.rate, self.decay)
        for _ in range(self.epochs):
            order = rng.permutation(len(x))
            for start in range(0, len(x), self.batch):
                rows = order[start : start + self.batch]
                optimiser.step(gradients(parts, x[rows], labels[rows], shares[rows]))
        first, bias, second, last = parts
        return ProbeHead(mean, scale, ((first, bias), (second, last)))


@dataclass(frozen=True)
class MeansOfClasses:
    """The posterior of class means (ProtoCL, `class_means.py`) as a linear head: for few states.

    Paper: each class has its own predictive variance. Here: their mean, so the head is linear.
    """

    noise: float = 1.0
    """Variance within classes of a whitened state; more allows for correlated features."""

    def __call__(self, states: Floats, labels: Floats, weights: Floats) -> ProbeHead:
        """The head of the exact posterior."""
        shares = labels * (weights / weights.mean())[:, None]
        white = Whitening.fitted(states, shares)
        empty = ClassMeans.prior(labels.shape[1], states.shape[1], noise=self.noise)
        found = empty.including(white.of(states), shares)
        variance = found.variances.mean()
        heights = np.log(found.alpha / found.alpha.sum())
        heights -= np.square(found.means).sum(axis=1) / (2 * variance)
        return ProbeHead(white.centre, white.scale, ((found.means / variance, heights),))


def first_parts(inputs: int, width: int, classes: int, rng: np.random.Generator) -> list[Floats]:
    """Weights and biases before the first step, uniform within 1 / sqrt(inputs of the map)."""
    near, far = inputs**-0.5, width**-0.5
    return [
        rng.uniform(-near, near, (width, inputs)),
        rng.uniform(-near, near, width),
        rng.uniform(-far, far, (classes, width)),
        rng.uniform(-far, far, classes),
    ]


def gradients(parts: Sequence[Floats], x: Floats, labels: Floats, shares: Floats) -> list[Floats]:
    """Gradients of the weighted mean cross-entropy."""
    first, bias, second, last = parts
    hidden = np.maximum(x @ first.T + bias, 0.0)
    logits = hidden @ second.T + last
    slope = (softmax(logits, axis=1) - labels) * (shares / len(x))[:, None]
    behind = (slope @ second) * (hidden > 0)
    return [behind.T @ x, behind.sum(axis=0), slope.T @ hidden, slope.sum(axis=0)]


def cross_entropy(logits: Floats, labels: Floats) -> Floats:
    """[N] cross-entropy of logits [N, classes]; one class is that of a logistic function."""
    if logits.shape[1] == 1:
        return np.asarray(np.logaddexp(0.0, logits[:, 0]) - labels[:, 0] * logits[:, 0])
    return np.asarray(logsumexp(logits, axis=1) - (labels * logits).sum(axis=1))


class AdamW:
    """Adam with decoupled weight decay (arXiv:1711.05101); changes the parts in place."""

    def __init__(self, parts: Sequence[Floats], rate: float, decay: float) -> None:
        self._parts, self._rate, self._decay, self._steps = parts, rate, decay, 0
        self._means = [np.zeros_like(part) for part in parts]
        self._squares = [np.zeros_like(part) for part in parts]

    def step(self, slopes: Sequence[Floats]) -> None:
        """Move each part against its gradient."""
        self._steps += 1
        early, late = 1 - 0.9**self._steps, 1 - 0.999**self._steps
        groups = zip(self._parts, slopes, self._means, self._squares, strict=True)
        for part, slope, mean, square in groups:
            mean += 0.1 * (slope - mean)
            square += 0.001 * (np.square(slope) - square)
            part *= 1 - self._rate * self._decay
            part -= self._rate * (mean / early) / (np.sqrt(square / late) + 1e-8)


def folds_of(clusters: Sequence[str], rng: np.random.Generator, folds: int = FOLDS) -> Floats:
    """[N] the fold of each state; states of one cluster share a fold."""
    names = sorted(set(clusters))
    dealt = dict(zip(rng.permutation(names).tolist(), np.arange(len(names)) % folds, strict=True))
    return np.array([dealt[name] for name in clusters])


def held_out(fit: Fit, states: Floats, labels: Floats, weights: Floats, folds: Floats) -> Floats:
    """[N, classes] logits of each state by a head that was fitted to the other folds."""
    found = np.zeros_like(labels)
    for fold in np.unique(folds):
        held, rest = folds == fold, folds != fold
        head = fit(states[rest], labels[rest], weights[rest])
        found[held] = head.logits(states[held])
    return found

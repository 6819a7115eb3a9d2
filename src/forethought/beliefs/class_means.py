"""ProtoCL (arXiv:2301.01828): classes of frozen embeddings, learnt on a stream by exact updates.

The class of an embedding has a Dirichlet law, an embedding is normal around the mean of its class,
and the means are normal. Nothing is forgotten, the order makes no difference, and an example can
be removed. The encoder stays frozen here; the paper trains it, with a memory of examples. With
embeddings of prompts it tells tasks apart, for a router.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from forethought.contracts.errors import UsageError

Floats = NDArray[np.float64]
ALPHA = float(np.exp(0.78))
"""Prior count of each class: the paper's log alpha is 0.78."""


@dataclass(frozen=True)
class ClassMeans:
    """The posterior of class means and class shares; variances are isotropic, so whiten first."""

    noise: float
    """Variance of an embedding around the mean of its class."""
    precision: Floats
    """Inverse variance of each mean, [classes]."""
    weighted: Floats
    """Posterior mean times precision, [classes, dimensions]."""
    alpha: Floats
    """Dirichlet counts, [classes]."""

    @classmethod
    def prior(
        cls,
        classes: int,
        dimensions: int,
        *,
        noise: float = 1.0,
        spread: float = 1.0,
        alpha: float = ALPHA,
    ) -> ClassMeans:
        """Before any example: means around 0 with variance `spread`."""
        if min(classes, dimensions) < 1 or min(noise, spread, alpha) <= 0:
            raise UsageError(
                f"{classes} classes in {dimensions} dimensions with noise {noise:g}, spread "
                f"{spread:g} and alpha {alpha:g} make no model",
                "give one class and one dimension or more, and variances above 0",
            )
        return cls(
            noise,
            np.full(classes, 1 / spread),
            np.zeros((classes, dimensions)),
            np.full(classes, float(alpha)),
        )

    def including(self, embeddings: Floats, classes: Sequence[int]) -> ClassMeans:
        """The posterior after these examples, [examples, dimensions]."""
        return self._moved(embeddings, classes, 1.0)

    def without(self, embeddings: Floats, classes: Sequence[int]) -> ClassMeans:
        """The posterior as if these examples had never been seen."""
        return self._moved(embeddings, classes, -1.0)

    @property
    def means(self) -> Floats:
        """The expected class means, [classes, dimensions]."""
        found: Floats = self.weighted / self.precision[:, None]
        return found

    @property
    def variances(self) -> Floats:
        """The predictive variance of each class, [classes]."""
        found: Floats = 1 / self.precision + self.noise
        return found

    def log_posterior(self, embeddings: Floats) -> Floats:
        """The log-probability of each class, [examples, classes]."""
        gaps = ((embeddings[:, None, :] - self.means) ** 2).sum(axis=2) / self.variances
        size = self.weighted.shape[1] * np.log(2 * np.pi * self.variances)
        joint = np.log(self.alpha / self.alpha.sum()) - 0.5 * (gaps + size)
        found: Floats = log_softmax(joint, axis=1)
        return found

    def _moved(self, embeddings: Floats, classes: Sequence[int], sign: float) -> ClassMeans:
        names = np.asarray(classes, dtype=np.int64)
        points = np.asarray(embeddings, dtype=np.float64)
        if points.shape != (len(names), self.weighted.shape[1]) or not np.isfinite(points).all():
            raise UsageError(
                f"embeddings of shape {points.shape} for {len(names)} examples do not fit",
                f"give finite numbers, {self.weighted.shape[1]} for each example",
            )
        if len(names) and (names.min() < 0 or names.max() >= len(self.alpha)):
            raise UsageError(
                f"class {names.max()} is none of {len(self.alpha)}", "count classes from 0"
            )
        own = np.eye(len(self.alpha))[names]
        counts = sign * own.sum(axis=0)
        return replace(
            self,
            precision=self.precision + counts / self.noise,
            weighted=self.weighted + sign * (own.T @ points) / self.noise,
            alpha=self.alpha + counts,
        )


@dataclass(frozen=True)
class Whitening:
    """Centres and scales each dimension, with one variance within classes for all of them."""

    centre: Floats
    scale: Floats

    @classmethod
    def fitted(cls, embeddings: Floats, classes: Sequence[int]) -> Whitening:
        """From labelled examples: the variance within classes becomes 1."""
        names = np.asarray(classes)
        inner = np.concatenate(
            [embeddings[names == one] - embeddings[names == one].mean(axis=0)
             for one in np.unique(names)]
        )  # fmt: skip
        return cls(embeddings.mean(axis=0), inner.std(axis=0).clip(1e-6))

    def of(self, embeddings: Floats) -> Floats:
        """The whitened embeddings."""
        found: Floats = (embeddings - self.centre) / self.scale
        return found

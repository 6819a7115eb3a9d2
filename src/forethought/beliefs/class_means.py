"""ProtoCL (arXiv:2301.01828): classes of frozen embeddings, learnt on a stream by exact updates.

The class of an embedding has a Dirichlet law, an embedding is normal around the mean of its class,
and the means are normal. Nothing is forgotten, and the order makes no difference. The encoder stays
frozen here; the paper trains it, with a memory of examples. An example may belong to several
classes by parts. `tune --probe difficulty` tries it as a head on hidden states.
"""

from __future__ import annotations

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

    def including(self, embeddings: Floats, shares: Floats) -> ClassMeans:
        """The posterior after examples [examples, dimensions] of classes [examples, classes].

        UsageError for parts that do not fit.
        """
        fits = embeddings.shape == (len(shares), self.weighted.shape[1])
        fits = fits and shares.shape[1:] == self.alpha.shape
        if not fits or not np.isfinite(embeddings).all() or not (shares >= 0).all():
            raise UsageError(
                f"embeddings of shape {embeddings.shape} and classes of {shares.shape} do not fit",
                f"give {self.weighted.shape[1]} finite numbers and {len(self.alpha)} shares each",
            )
        counts = shares.sum(axis=0)
        return replace(
            self,
            precision=self.precision + counts / self.noise,
            weighted=self.weighted + shares.T @ embeddings / self.noise,
            alpha=self.alpha + counts,
        )


@dataclass(frozen=True)
class Whitening:
    """Centres and scales each dimension, with one variance within classes for all of them."""

    centre: Floats
    scale: Floats

    @classmethod
    def fitted(cls, embeddings: Floats, shares: Floats) -> Whitening:
        """From examples of classes [examples, classes]: the variance within classes becomes 1."""
        counts = shares.sum(axis=0)
        means = shares.T @ embeddings / counts.clip(1e-300)[:, None]
        squares = np.stack([(embeddings - mean) ** 2 for mean in means], axis=1)
        within = np.einsum("nc,ncd->d", shares, squares) / counts.sum()
        centre = shares.sum(axis=1) @ embeddings / counts.sum()
        return cls(centre, np.sqrt(within).clip(1e-6))

    def of(self, embeddings: Floats) -> Floats:
        """The whitened embeddings."""
        found: Floats = (embeddings - self.centre) / self.scale
        return found

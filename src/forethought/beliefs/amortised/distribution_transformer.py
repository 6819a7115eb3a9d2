"""A Distribution Transformer (arXiv:2502.02463): a prior mixture in, a posterior mixture out.

The latent is the log-odds of a success rate, and evidence is counts of successes. The prior is an
input, so a posterior serves as the next prior, and users choose priors without a new training. The
conjugate filter of `stream.py` is exact where a Beta law fits; this one is for mixtures. Sizes are
ours, since the paper's code is not public: 3 components, width 64, 3 layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from forethought.beliefs.amortised.training import TrainingPlan
from forethought.beliefs.amortised.weights_file import StoredNetwork, read_network
from forethought.beliefs.logit_mixture import LogitMixture
from forethought.contracts.beliefs import Counts
from forethought.contracts.errors import UnfitError

Floats = NDArray[np.float64]
COMPONENTS = 3
MOST_SAMPLES = 32
"""Samples of one count in the training."""
_MOST_COUNTS = 3
_LEAST_WIDTH, _MOST_WIDTH = 0.1, 2.0
_FARTHEST = 8.0
"""Log-odds of a component's mean beyond which no prior was trained."""


class MixtureNetwork(nn.Module):
    """Component tokens attend to each other and to the evidence; one map reads them out."""

    def __init__(self, width: int, layers: int, heads: int = 4) -> None:
        super().__init__()
        self.component_in = nn.Sequential(nn.Linear(3, width), nn.GELU(), nn.Linear(width, width))
        self.evidence_in = nn.Sequential(nn.Linear(4, width), nn.GELU(), nn.Linear(width, width))
        self.nothing = nn.Parameter(torch.zeros(1, 1, width))
        layer = nn.TransformerDecoderLayer(
            width, heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.decoder = nn.TransformerDecoder(layer, layers)
        self.out = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 3))

    def forward(self, prior: Tensor, evidence: Tensor) -> tuple[Tensor, Tensor]:
        """The posterior and the prior again, each [batch, components, 3].

        `prior` holds log weight, mean and log width; `evidence` is [batch, counts, 4].
        """
        tokens = self.component_in(prior)
        known = torch.cat((self.nothing.expand(len(prior), -1, -1), self.evidence_in(evidence)), 1)
        return self._read(self.decoder(tokens, known)), self._read(tokens)

    def _read(self, tokens: Tensor) -> Tensor:
        weight, mean, width = self.out(tokens).unbind(-1)
        # The paper's floor of a width is 1e-3.
        width = torch.log(functional.softplus(width) + 1e-3)
        return torch.stack((torch.log_softmax(weight, -1), mean, width), -1)


@dataclass(frozen=True)
class FilterLearner:
    """Learns to condition any mixture within its range on counts."""

    @property
    def prior(self) -> str:
        """The prior over priors in short."""
        return "3 normals in log-odds, means U(-4,4), widths logU(.1,2), weights Dirichlet(1)"

    def build(self, sizes: Mapping[str, int]) -> MixtureNetwork:
        """A network of these sizes."""
        return MixtureNetwork(**sizes)

    def fresh(self, plan: TrainingPlan) -> StoredNetwork[MixtureNetwork]:
        """A network before its training."""
        sizes = {"width": plan.width, "layers": plan.layers}
        return StoredNetwork(self.build(sizes), self.prior, sizes)

    def loss(
        self, stored: StoredNetwork[MixtureNetwork], rng: np.random.Generator, count: int
    ) -> Tensor:
        """-log q of the latent, given the evidence and given the prior alone.

        The first term is least at the posterior. The second keeps prior and posterior in one space,
        which recursion needs.
        """
        prior = drawn_priors(rng, count)
        chosen = (np.exp(prior[:, :, 0]).cumsum(1) > rng.random((count, 1))).argmax(1)
        own = prior[np.arange(count), chosen]
        latent = own[:, 1] + np.exp(own[:, 2]) * rng.standard_normal(count)
        made = rng.integers(1, MOST_SAMPLES + 1, (count, int(rng.integers(0, _MOST_COUNTS + 1))))
        good = rng.binomial(made, 1 / (1 + np.exp(-latent[:, None])))
        told = evidence_features(made, good)
        given, alone = stored.network(
            torch.from_numpy(prior).float(), torch.from_numpy(told).float()
        )
        point = torch.from_numpy(latent).float()
        return -(_log_density(given, point) + _log_density(alone, point)).mean()


@dataclass(frozen=True)
class RateFilter:
    """Conditions a mixture on counts in one forward pass."""

    stored: StoredNetwork[MixtureNetwork]
    prior: LogitMixture

    @classmethod
    def read(cls, file: Path, prior: LogitMixture) -> RateFilter:
        """Read trained weights; BadDataError for those of another prior over priors."""
        learner = FilterLearner()
        return cls(read_network(file, learner.prior, learner.build), prior)

    def condition(self, evidence: Counts) -> LogitMixture:
        """The law of the rate that all samples share; UnfitError outside the training."""
        _check(self.prior, evidence)
        rows = np.stack(
            (np.log(self.prior.weights), self.prior.means, np.log(self.prior.widths)), axis=-1
        )
        told = evidence_features(np.array(evidence.samples), np.array(evidence.right))
        with torch.inference_mode():
            parts = (torch.from_numpy(one).float()[None] for one in (rows, told.reshape(-1, 4)))
            found = self.stored.network(*parts)[0][0].double().numpy()
        weights = np.exp(found[:, 0])
        return LogitMixture(weights / weights.sum(), found[:, 1], np.exp(found[:, 2]))


def filtered(file: Path, prior: LogitMixture, evidence: Counts) -> LogitMixture:
    """The law after counts of any size: each posterior is the prior of the next counts."""
    network = RateFilter.read(file, prior)
    for counts in _portions(sum(evidence.samples), sum(evidence.right)):
        network = RateFilter(network.stored, network.condition(counts))
    return network.prior


def _portions(made: int, right: int) -> Iterator[Counts]:
    """The counts in portions that the training covers."""
    while made:
        one = min(made, MOST_SAMPLES)
        good = round(right * one / made)
        yield Counts.of(one, [good])
        made, right = made - one, right - good


def drawn_priors(rng: np.random.Generator, count: int) -> Floats:
    """Mixtures of the prior over priors: log weight, mean and log width, [count, 3, 3]."""
    weights = rng.dirichlet(np.ones(COMPONENTS), count).clip(1e-6)
    means = rng.uniform(-4, 4, (count, COMPONENTS))
    widths = rng.uniform(np.log(_LEAST_WIDTH), np.log(_MOST_WIDTH), (count, COMPONENTS))
    return np.stack((np.log(weights), means, widths), axis=-1)


def evidence_features(made: NDArray[np.int64], good: NDArray[np.int64]) -> Floats:
    """Features of counts, [..., 4]."""
    return np.stack(
        (
            good / made.clip(1),
            np.log((good + 0.5) / (made - good + 0.5)) / 2,
            np.log(made.clip(1)) / 2,
            np.sqrt(made) / 4,
        ),
        axis=-1,
    )


def _log_density(mixture: Tensor, point: Tensor) -> Tensor:
    weight, mean, width = mixture.unbind(-1)
    gaps = (point[:, None] - mean) / width.exp()
    found: Tensor = torch.logsumexp(weight - width - 0.5 * gaps**2, -1)
    return found


def _check(prior: LogitMixture, evidence: Counts) -> None:
    fits = (
        len(prior.weights) == COMPONENTS
        and bool((np.abs(prior.means) <= _FARTHEST).all())
        and len(evidence.samples) <= _MOST_COUNTS
        and all(1 <= made <= MOST_SAMPLES for made in evidence.samples)
    )
    if not fits:
        raise UnfitError(
            f"a prior of {len(prior.weights)} components, or {len(evidence.samples)} counts of up "
            f"to {max(evidence.samples, default=0)} samples, lie outside the network's training",
            f"give {COMPONENTS} components with means within {_FARTHEST:g} log-odds, and up to "
            f"{_MOST_COUNTS} counts of {MOST_SAMPLES} samples at a time",
        )

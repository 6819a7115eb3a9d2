"""Decode each token with the MLP neurons whose gates are strongest for it.

Paper: CATS: Contextually-Aware Thresholding for Sparsity in Large Language Models, arXiv:2404.08763
Published: code (Infini-AI-Lab/Sirius); Paper: a threshold for each layer, from a calibration text.
    Here, as in the code: each token's weakest gates are dropped, half of them.
Exact: with density=1; below, tokens of the answer lack the neurons with the weakest gates.
Cost: all gates, and the up and down products of the other neurons alone. Weights in their own
    dtype are read for these alone, by way of a transposed copy; packed weights are read whole. The
    rows are gathered anew for each token, which takes longer on a CPU than the full product.
"""

from __future__ import annotations

from dataclasses import dataclass

from forethought.contracts.neurons import ActiveNeurons
from forethought.methods.contextual_sparsity._thinning import Thinning, token_neurons


@dataclass(frozen=True)
class Cats(Thinning):
    """A choice of neurons for each token."""

    def active_neurons(self, of: int) -> ActiveNeurons | None:
        """All gates, and the products of the strongest."""
        return token_neurons(self.density, of)

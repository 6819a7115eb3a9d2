"""Decode with part of the MLP's neurons, and let the full model correct every few tokens.

Paper: Sirius: Contextual Sparsity with Correction for Efficient LLMs, arXiv:2409.03856
Published: paper; kernels of 16, threshold 0.1 at temperature 0.6, half of the neurons. Paper: tree
    widths of 1, 4, 6 and 8. Here: width 1, which is a chain of sparse tokens.
Exact: with density=1, and with threshold=2, which takes no sparse token; between, a token may
    differ from the full model's wherever that finds the sparse one likely enough.
Cost: up to 15 sparse decode passes, then one pass of the full model over 16 tokens, which writes
    exact entries. It pays while most sparse tokens are taken: models of few parameters take less.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from forethought.contracts.neurons import ActiveNeurons, CorrectionRule, NeuronChoice
from forethought.contracts.parameters import DraftLength, Range
from forethought.methods.contextual_sparsity._thinning import (
    FlockingChoice,
    Thinning,
    prompt_neurons,
    token_neurons,
)

_TEMPERATURE = 0.6
"""Of the probabilities that the threshold applies to, in the paper and in its code."""


@dataclass(frozen=True)
class Sirius(Thinning):
    """Sparse decoding with checks by the full model."""

    kernel: DraftLength = 16
    """Tokens of a check: one of the full model and the sparse ones after it."""
    threshold: Annotated[float, Range(0, 2)] = 0.1
    """Least probability of a sparse token that the full model takes; above 1 it takes none."""
    neurons: Literal["prompt", "token"] = "prompt"
    """What chooses the neurons: the prompt, as in griffin, or each token, as in cats."""

    def active_neurons(self, of: int) -> ActiveNeurons | None:
        """The neurons of a sparse pass."""
        by_prompt = self.neurons == "prompt"
        return (prompt_neurons if by_prompt else token_neurons)(self.density, of)

    def neuron_choice(self, of: int) -> NeuronChoice | None:
        """The choice by the activations of the prompt, if that chooses."""
        found = self.active_neurons(of)
        if found is None or self.neurons == "token":
            return None
        return FlockingChoice(found.products)

    def correction(self) -> CorrectionRule | None:
        """Checks of a kernel each."""
        return CorrectionRule(self.kernel, self.threshold, _TEMPERATURE)

    def uncounted(self) -> str:
        """The sparse tokens that are rejected, unless all of them are."""
        if self.threshold > 1:
            return ""
        return "sparse tokens that the full model rejects depend on the text: none are counted"

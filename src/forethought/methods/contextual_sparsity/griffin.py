"""Decode with the MLP neurons that were most active over the prompt.

Paper: Prompt-prompted Adaptive Structured Pruning for Efficient LLM Generation, arXiv:2404.01365
Published: paper; half of the neurons, the largest scores
Exact: with density=1; below, tokens of the answer lack the other neurons. The prefill is exact.
Cost: smaller matrices, gathered once a prompt, so a decode pass reads and multiplies less. Answers
    to different prompts share no decode pass, and each prompt holds its own matrices. 4-bit weights
    are packed anew, which takes seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from forethought.contracts.neurons import ActiveNeurons, NeuronChoice
from forethought.methods.contextual_sparsity._thinning import (
    FlockingChoice,
    Thinning,
    prompt_neurons,
)


@dataclass(frozen=True)
class Griffin(Thinning):
    """One choice of neurons for all tokens of an answer."""

    def active_neurons(self, of: int) -> ActiveNeurons | None:
        """The same neurons for every token."""
        return prompt_neurons(self.density, of)

    def neuron_choice(self, of: int) -> NeuronChoice | None:
        """The choice by the activations of the prompt."""
        found = self.active_neurons(of)
        return None if found is None else FlockingChoice(found.products)

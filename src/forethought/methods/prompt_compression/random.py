"""Keep prompt tokens drawn at random; what any other choice has to beat.

Paper: none; the control that a choice by importance is compared with
Exact: when keep reaches the prompt's length; below it, chance decides what is lost.
Cost: the target reads keep tokens; nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forethought.contracts.parameters import CountOrZero
from forethought.contracts.records import Prompt
from forethought.contracts.roles import Draft
from forethought.methods.prompt_compression._shortening import Shortening


@dataclass(frozen=True)
class Random(Shortening):
    """Keeps tokens by lot; with one seed, a smaller budget keeps a part of a larger one's."""

    seed: CountOrZero = 0
    """Decides the draw; the same seed and prompt length give the same choice."""

    def on_prompt(self, prompt: Prompt, draft: Draft, answer_tokens: int) -> Prompt:
        """The prompt of what must stay and of the tokens that were drawn."""
        if not self.pays(len(prompt)):
            return prompt
        room = self.room(prompt)
        drawn = np.random.default_rng(self.seed).permutation(room.free)[: room.count]
        return prompt.keep(room.kept(drawn.tolist()))

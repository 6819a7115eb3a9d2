"""Keep random prompt tokens: the control for every other choice.

Paper: none; the control for a choice by importance
Published: baseline
Exact: when keep reaches the prompt's length; below it, random tokens are lost.
Cost: the target prefills keep tokens; nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

from forethought.contracts.parameters import CountOrZero
from forethought.contracts.records import Prompt
from forethought.contracts.roles import Draft
from forethought.methods.prompt_compression._shortening import Shortening
from forethought.models.hardware.sliced_task import aside
from forethought.numerics.late_imports import np


@dataclass(frozen=True)
class Random(Shortening):
    """Keeps random tokens; with one seed, a smaller budget keeps a subset of a larger one's."""

    seed: CountOrZero = 0
    """Random seed; the same seed and prompt length give the same choice."""

    def on_prompt(self, prompt: Prompt, draft: Draft, answer_tokens: int) -> Prompt:
        """The prompt of protected and randomly chosen tokens."""
        if not self.pays(len(prompt)):
            return prompt
        return aside(len(prompt), lambda: self._drawn(prompt))

    def _drawn(self, prompt: Prompt) -> Prompt:
        room = self.room(prompt)
        drawn = np.random.default_rng(self.seed).permutation(room.free)[: room.count]
        return prompt.keep(room.kept(drawn.tolist()))

"""Keep the cache entries that the last prompt tokens attend to.

Paper: SnapKV, arXiv:2404.14469 (NeurIPS 2024)
Exact: when keep reaches the prompt's length; below it, dropped entries are out of the
answer's sight. The scores know the question, not the answer.
Cost: attention rows of the window in every layer; the prompt is still read whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from forethought.contracts.parameters import Count, Keep, OddCount, entries_kept
from forethought.contracts.records import Prompt
from forethought.contracts.roles import Approximation, Draft, LayerView
from forethought.methods.kv_eviction._choice import (
    check_budget,
    chosen_entries,
    must_stay,
    window_scores,
    with_window,
)
from forethought.numerics.importance import pooled


@dataclass(frozen=True)
class SnapKV(Approximation):
    """Scores entries by the attention of an observation window at the prompt's end."""

    keep: Keep = 1024
    """Cache entries per layer and head after the prompt: a count, or a share of the prompt."""
    window: Count = 32
    """The last prompt tokens, which score and always stay."""
    kernel: OddCount = 5
    """Scores are pooled over this many entries."""
    pool: Literal["mean", "max"] = "mean"
    """How they are pooled."""
    protect: bool = True
    """Keep the chat template and the question whatever their scores."""

    def pays(self, prompt_length: int) -> bool:
        """Whether anything would be dropped."""
        return entries_kept(self.keep, prompt_length) < prompt_length

    def evicts(self) -> bool:
        """Whether cache entries are dropped."""
        return True

    def on_prompt(self, prompt: Prompt, draft: Draft, answer_tokens: int) -> Prompt:
        """The prompt as it is, once window and protected entries are seen to fit."""
        if self.pays(len(prompt)):
            budget, until = entries_kept(self.keep, len(prompt)), len(prompt) - self.window
            check_budget("snapkv", budget, {"window": self.window}, prompt, self.protect, until)
        return prompt

    def on_layer(self, view: LayerView) -> Tensor | None:
        """The best entries before the window, then the window."""
        length = view.prompt_length
        if not self.pays(length):
            return None
        until = length - self.window
        # Sums over the query group commute with mean pooling; for max pooling the group is
        # averaged first, as one key head serves it.
        scores = pooled(window_scores(view, self.window, "mean")[:, :until], self.kernel, self.pool)
        budget = entries_kept(self.keep, length) - self.window
        best = chosen_entries(scores, budget, must_stay(view, self.protect, until))
        return with_window(best, range(until, length))

"""Keep the first few cache entries and the newest; no scores at all.

Paper: StreamingLLM, arXiv:2309.17453 (ICLR 2024), as a cut after the prompt: kept keys keep
their rotation and the answer goes on at its true position (no shifting of positions).
Exact: when keep reaches the prompt's length; whatever stood in the middle is lost.
Cost: none beyond reading the prompt.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from forethought.contracts.parameters import CountOrZero, Keep, entries_kept
from forethought.contracts.records import Prompt
from forethought.contracts.roles import Approximation, Draft, LayerView
from forethought.methods.kv_eviction._choice import check_budget, must_stay


@dataclass(frozen=True)
class StreamingLLM(Approximation):
    """Attention sinks at the start, and a recent window."""

    keep: Keep = 1024
    """Cache entries per layer and head after the prompt: a count, or a share of the prompt."""
    sinks: CountOrZero = 4
    """Entries kept from the start."""
    protect: bool = True
    """Keep the chat template and the question too, at the expense of the window."""

    def pays(self, prompt_length: int) -> bool:
        """Whether anything would be dropped."""
        return entries_kept(self.keep, prompt_length) < prompt_length

    def evicts(self) -> bool:
        """Whether cache entries are dropped."""
        return True

    def on_prompt(self, prompt: Prompt, draft: Draft, answer_tokens: int) -> Prompt:
        """The prompt as it is, once sinks and protected entries are seen to fit."""
        if self.pays(len(prompt)):
            budget, length = entries_kept(self.keep, len(prompt)), len(prompt)
            check_budget(
                "streaming-llm", budget, {"sinks": self.sinks}, prompt, self.protect, length
            )
        return prompt

    def on_layer(self, view: LayerView) -> Tensor | None:
        """The sinks, what is protected, and the newest entries that still fit."""
        length = view.prompt_length
        if not self.pays(length):
            return None
        first = torch.arange(self.sinks, device=view.keys.device)
        newest = torch.arange(length - 1, -1, -1, device=view.keys.device)
        wanted = torch.cat([first, must_stay(view, self.protect, length), newest]).tolist()
        kept = list(dict.fromkeys(wanted))[: entries_kept(self.keep, length)]
        return torch.tensor(sorted(kept), device=view.keys.device).expand(view.keys.shape[0], -1)

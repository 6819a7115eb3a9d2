"""Read a prompt with a local window and the tokens a drafted answer attends to.

Paper: SpecKV's sparse prefill, arXiv:2506.08373 (ICLR 2026), over the attention pattern of
MInference, arXiv:2407.02490. It forces no first tokens: sinks=0 is as published.
Exact: when columns and window together reach the prompt's length; beyond, far tokens that are
not chosen are out of the prompt's own sight, and errors pass on from layer to layer.
Cost: a draft reads the prompt and writes lookahead tokens, one run for this and speckv of the
same look-ahead; attention rows of the last tokens in every layer; then columns + window
keys for each token. Layers with a sliding window are left as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from forethought.contracts.parameters import Count, CountOrZero, OddCount
from forethought.contracts.records import Prompt
from forethought.contracts.roles import Approximation, Draft, LayerView, Pattern
from forethought.methods.sparse_prefill._best import best
from forethought.numerics.importance import pooled

_BLOCK = 64  # queries that see the same bands


@dataclass(frozen=True)
class VerticalSlash(Approximation):
    """Columns by the queries of the last prompt tokens and of a drafted answer."""

    columns: Count = 2048
    """Keys per layer and key head that every later token sees."""
    window: Count = 2048
    """Keys a token sees before its block of 64; rounded up to whole blocks."""
    sinks: CountOrZero = 4
    """First tokens that are always among the columns."""
    queries: Count = 32
    """The last prompt tokens, which score with the look-ahead."""
    kernel: OddCount = 7
    """Scores are max-pooled over this many tokens."""
    lookahead: Count | None = None
    """Tokens the draft writes at most; as many as the answer may have when not given."""

    def pays(self, prompt_length: int) -> bool:
        """Whether some tokens would see less than all before them."""
        return prompt_length > self.columns + self._band()

    def uses_draft(self) -> bool:
        """Whether a draft is run."""
        return True

    def thins_attention(self) -> bool:
        """Whether `on_attention` chooses what the prompt's queries see."""
        return True

    def on_prompt(self, prompt: Prompt, draft: Draft, answer_tokens: int) -> Prompt:
        """The prompt with a draft's guess of the answer behind it, unless it has one."""
        if prompt.lookahead is not None or not self.pays(len(prompt)):
            return prompt
        most = self.lookahead or answer_tokens
        what = ("look-ahead", most)
        guess = draft.recall(what, prompt, lambda: draft.read(prompt, _look_only, lookahead=most))
        return prompt.with_lookahead(guess)

    def on_attention(self, view: LayerView) -> Pattern | None:
        """The best columns of each key head, and a window; None where that would be all."""
        kv_heads, entries, _ = view.keys.shape
        if view.shape.window is not None or not self.pays(entries):
            return None
        slashes = torch.arange(self._band(), -1, -_BLOCK, device=view.keys.device)
        return Pattern(self._columns(view), slashes.expand(kv_heads, -1))

    def _band(self) -> int:
        return -(-self.window // _BLOCK) * _BLOCK

    def _columns(self, view: LayerView) -> Tensor:
        """[K, columns], ascending."""
        entries = view.keys.shape[1]
        guessed = entries - view.prompt_length
        chunks = view.window_rows(self.queries + guessed + 1)
        scores = reduce(torch.maximum, (rows.amax((1, 2)) for rows in chunks))
        # As in speckv: the last prompt tokens score others, not themselves.
        until = max(0, view.prompt_length - self.queries - 1)
        scores = pooled(scores[:, :until], self.kernel, "max")
        scores[:, : self.sinks] = torch.inf
        return best(scores, self.columns)


def _look_only(view: LayerView) -> None:
    """Drop nothing."""

"""Prefill with a local window and the tokens that a drafted answer attends to.

Paper: SpecKV's sparse prefill, arXiv:2506.08373 (ICLR 2026), over the attention pattern of
    MInference, arXiv:2407.02490
Published: code; furiosa-ai/draft-based-approx-llm, which reads prompts of more than 4,096 tokens
    this way. A look-ahead counts towards them if its length is stated.
Exact: when columns and window together reach the prompt's length. Below it, prompt tokens do not
see far tokens that are not columns, and errors pass on from layer to layer.
Cost: a draft prefills the prompt and decodes lookahead tokens, in one run with a speckv of the
same look-ahead; attention rows of the last tokens in every layer; then columns + window
keys for each token. Layers with a sliding window stay dense.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, ClassVar

from forethought.contracts.parameters import Count, CountOrZero, OddCount
from forethought.contracts.records import Prompt
from forethought.contracts.roles import Approximation, Draft, LayerView, SparseOutput
from forethought.contracts.score_work import LayerSizes, dense_flops
from forethought.cost.flops import attention_flops, row_flops
from forethought.methods.sparse_prefill._best import best
from forethought.methods.sparse_prefill._lines import Lines, attend_lines
from forethought.numerics.importance import pooled
from forethought.numerics.late_imports import torch

if TYPE_CHECKING:
    from torch import Tensor

_BLOCK = 64  # queries that share a band


@dataclass(frozen=True)
class VerticalSlash(Approximation):
    """Columns by the attention of the last prompt tokens and of a drafted answer."""

    revision: ClassVar[int] = 2
    """The first revision made columns of the first 4 tokens by default."""

    columns: Count = 2048
    """Keys per layer and key head that every later token sees."""
    window: Count = 2048
    """Keys that a token sees before its block of 64, rounded up to whole blocks."""
    sinks: CountOrZero = 0
    """First tokens, which are always columns."""
    queries: Count = 32
    """Last prompt tokens, which score with the look-ahead."""
    kernel: OddCount = 7
    """Width of the max pooling over scores, in tokens."""
    lookahead: Count | None = None
    """Most tokens the draft decodes; the answer's token limit by default."""

    def pays(self, prompt_length: int) -> bool:
        """Whether a prompt of this length has tokens that do not see all keys."""
        return prompt_length + (self.lookahead or 0) > self.columns + self._band()

    def uses_draft(self) -> bool:
        """Whether a draft runs."""
        return True

    def lookahead_tokens(self, answer_tokens: int) -> int:
        """The look-ahead, or a whole answer."""
        return self.lookahead or answer_tokens

    def uncounted(self) -> str:
        """The columns within the window."""
        return "columns within the window are counted twice: vertical-slash takes at most this"

    def attention_flops(self, layer: int, sizes: LayerSizes) -> float:
        """The rows that score columns, then a window and columns before it for every block."""
        entries, band = sizes.entries, self._band()
        if entries <= self.columns + band:
            return dense_flops(sizes)
        pairs = 0.0
        for first in range(0, entries, _BLOCK):
            rows = min(_BLOCK, entries - first)
            before = min(first, band) + min(self.columns, max(0, first - band))
            pairs += rows * before + rows * (rows + 1) / 2
        scores = row_flops(sizes.shape, entries, self.queries + sizes.ahead + 1)
        return attention_flops(sizes.shape, pairs) + scores

    def scored_queries(self) -> int | None:
        """None of the draft's: it only decodes."""
        return 0

    def thins_attention(self) -> bool:
        """Whether `on_attention` computes prefill attention."""
        return True

    def on_prompt(self, prompt: Prompt, draft: Draft, answer_tokens: int) -> Prompt:
        """The prompt, followed by the draft's look-ahead unless it has one."""
        if prompt.lookahead is not None or not self.pays(len(prompt)):
            return prompt
        most = self.lookahead or answer_tokens
        what = ("look-ahead", most)
        guess = draft.recall(what, prompt, lambda: _drafted(prompt, draft, most))
        return prompt.with_lookahead(guess)

    def on_attention(self, view: LayerView) -> SparseOutput | None:
        """Attention to columns and a window; None for dense attention."""
        dense = view.keys.shape[1] <= self.columns + self._band()
        if dense or view.shape.window is not None:
            return None
        return attend_lines(view, self.lines(view))

    def lines(self, view: LayerView) -> Lines:
        """The best columns of each key head, and a window."""
        slashes = torch.arange(self._band(), -1, -_BLOCK, device=view.keys.device)
        return Lines(self._columns(view), slashes.expand(len(view.keys), -1))

    def _band(self) -> int:
        return -(-self.window // _BLOCK) * _BLOCK

    def _columns(self, view: LayerView) -> Tensor:
        """[K, columns], ascending."""
        entries = view.keys.shape[1]
        drafted = entries - view.prompt_length
        chunks = view.window_rows(self.queries + drafted + 1)
        scores = reduce(torch.maximum, (rows.amax((1, 2)) for rows in chunks))
        # As in speckv, the last prompt tokens score the others, not themselves.
        until = max(0, view.prompt_length - self.queries - 1)
        scores = pooled(scores[:, :until], self.kernel, "max")
        scores[:, : self.sinks] = torch.inf
        return best(scores, self.columns)


def _drafted(prompt: Prompt, draft: Draft, most: int) -> list[int]:
    return draft.read(prompt, _keep_all, lookahead=most, queries=0)


def _keep_all(view: LayerView) -> None:
    """Evict nothing."""

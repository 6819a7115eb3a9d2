"""Keep the chunks of the prompt that a draft's look-ahead attends to, at their positions.

Paper: SpecPrefill, arXiv:2502.02789 (ICML 2025)
Published: ours; the newest chunk always stays, and the last chosen chunk is cut to the budget.
Exact: when keep reaches the prompt's length; below it, the answer cannot see dropped tokens.
Cost: the draft prefills the prompt and decodes the look-ahead; the target prefills keep tokens.
Example: forethought "Who signed it?" -f contract.txt -m qwen-coder-1.5b -d qwen-coder-0.5b
    -x spec-prefill
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from forethought.contracts.parameters import Count
from forethought.contracts.records import Prompt
from forethought.contracts.roles import Draft, LayerView
from forethought.methods.prompt_compression._room import PromptRoom
from forethought.methods.prompt_compression._shortening import Shortening
from forethought.numerics.importance import pooled

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class SpecPrefill(Shortening):
    """Keeps whole chunks of tokens by their mean score."""

    lookahead: Count = 8
    """Queries that score: the last prompt token's and those of all drafted tokens but the last."""
    kernel: Count = 13
    """Width of the mean pooling over attention, in tokens."""
    chunk: Count = 32
    """Tokens kept or dropped together; the last chosen chunk is cut to the budget."""
    in_place: bool = True
    """Keep the original positions, with gaps; the answer starts at its usual position."""

    def uses_draft(self) -> bool:
        """Whether a draft runs."""
        return True

    def lookahead_tokens(self, answer_tokens: int) -> int:
        """The look-ahead: the first query needs no drafted token, the last one gives no query."""
        return self.lookahead if self.lookahead > 1 else 0

    def newest_queries(self) -> int | None:
        """The last prompt token; drafted tokens follow it."""
        return 1

    def on_prompt(self, prompt: Prompt, draft: Draft, answer_tokens: int) -> Prompt:
        """The prompt of the chosen chunks."""
        if not self.pays(len(prompt)):
            return prompt
        room = self.room(prompt)
        what = ("spec-prefill", self.kernel, self.lookahead)
        found = draft.recall(what, prompt, lambda: self._found(prompt, draft))
        scores = draft.carry(found, prompt).cpu().numpy()
        kept = room.kept(self._chosen(scores, room))
        return prompt.keep_in_place(kept) if self.in_place else prompt.keep(kept)

    def _found(self, prompt: Prompt, draft: Draft) -> Tensor:
        steps = _Steps(self.kernel)
        draft.read(prompt, steps.look, lookahead=self.lookahead_tokens(0), queries=1)
        return steps.mean()

    def _chosen(self, scores: np.ndarray, room: PromptRoom) -> list[int]:
        """The newest chunk, then the best chunks, each from its start, up to the budget."""
        starts = np.arange(0, len(scores), self.chunk)
        # Only the newest chunk can be shorter, and it always stays, so sums rank as means do.
        best = starts[np.argsort(-np.add.reduceat(scores, starts), kind="stable")].tolist()
        newest = range(len(scores) - 1, int(starts[-1]) - 1, -1)
        others = (i for start in best for i in range(start, min(start + self.chunk, len(scores))))
        ranked = [*newest, *others]
        return [i for i in dict.fromkeys(ranked) if i not in room.protected][: room.count]


@dataclass
class _Steps:
    """Scores of the prompt's tokens: the maximum over layers and heads, averaged over queries."""

    kernel: int
    best: dict[int, Tensor] = field(default_factory=dict)
    """By drafted tokens before the query: the maximum so far [L]."""

    def look(self, view: LayerView) -> None:
        length = view.prompt_length
        step = view.keys.shape[1] - length
        for rows in view.window_rows(1):
            seen = rows[:, :, 0, :length]
            # Renormalised, as if the drafted tokens had no keys.
            seen = seen / seen.sum(-1, keepdim=True).clamp_min(1e-30)
            found = pooled(seen, self.kernel, "mean").amax((0, 1))
            self.best[step] = self.best[step].maximum(found) if step in self.best else found

    def mean(self) -> Tensor:
        """The mean [L] over all queries."""
        total = next(iter(self.best.values())).new_zeros(())
        for scores in self.best.values():
            total = total + scores
        return total / len(self.best)

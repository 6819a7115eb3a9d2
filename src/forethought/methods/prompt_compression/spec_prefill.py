"""Keep chunks of the prompt that a draft's look-ahead attends to, at their own positions.

Paper: SpecPrefill, arXiv:2502.02789 (ICML 2025)
Exact: when keep reaches the prompt's length; below it, dropped tokens are lost to the answer.
Cost: the draft reads the prompt and writes the look-ahead; the target reads keep tokens.
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
    """Keeps whole chunks of tokens by the mean of their scores."""

    lookahead: Count = 8
    """Queries that count: of the last prompt token, and of all written tokens but the last."""
    kernel: Count = 13
    """Attention is averaged over this many tokens."""
    chunk: Count = 32
    """Tokens that are kept or dropped together; the last chunk chosen is cut to fit."""
    in_place: bool = True
    """Kept tokens stay at their positions, with gaps, and the answer starts where it would."""

    def uses_draft(self) -> bool:
        """Whether a draft is run."""
        return True

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
        # The first query needs no written token, and the last token written makes none.
        draft.read(prompt, steps.look, lookahead=self.lookahead if self.lookahead > 1 else 0)
        return steps.mean()

    def _chosen(self, scores: np.ndarray, room: PromptRoom) -> list[int]:
        """The newest chunk, then the best, each from its start, until the room is filled."""
        starts = np.arange(0, len(scores), self.chunk)
        # Only the newest chunk may be shorter, and it stays anyway: sums rank as means do.
        best = starts[np.argsort(-np.add.reduceat(scores, starts), kind="stable")].tolist()
        newest = range(len(scores) - 1, int(starts[-1]) - 1, -1)
        others = (i for start in best for i in range(start, min(start + self.chunk, len(scores))))
        ranked = [*newest, *others]
        return [i for i in dict.fromkeys(ranked) if i not in room.protected][: room.count]


@dataclass
class _Steps:
    """Scores of the prompt's tokens: the best layer and head of a query, averaged over queries."""

    kernel: int
    best: dict[int, Tensor] = field(default_factory=dict)
    """By tokens written before the query: [L], the maximum so far."""

    def look(self, view: LayerView) -> None:
        length = view.prompt_length
        step = view.keys.shape[1] - length
        for rows in view.window_rows(1):
            seen = rows[:, :, 0, :length]
            # As if the written tokens' keys had not been there.
            seen = seen / seen.sum(-1, keepdim=True).clamp_min(1e-30)
            found = pooled(seen, self.kernel, "mean").amax((0, 1))
            self.best[step] = self.best[step].maximum(found) if step in self.best else found

    def mean(self) -> Tensor:
        """[L], over all queries."""
        total = next(iter(self.best.values())).new_zeros(())
        for scores in self.best.values():
            total = total + scores
        return total / len(self.best)

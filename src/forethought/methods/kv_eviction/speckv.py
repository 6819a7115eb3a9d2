"""Keep the cache entries that a draft's guess of the answer attends to.

Paper: SpecKV, arXiv:2506.08373 (ICLR 2026)
Exact: when keep reaches the prompt's length; below it, dropped entries are out of the
answer's sight, layer by layer and head by head.
Cost: the draft reads the prompt and writes lookahead tokens; the target reads both once.
Each layer is cut as soon as it is read, so the whole cache never stands at once.
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
class SpecKV(Approximation):
    """Scores entries by the queries of the last prompt tokens and of a drafted answer."""

    keep: Keep = 1024
    """Cache entries per layer and head after the prompt: a count, or a share of the prompt."""
    window: Count = 32
    """The last prompt tokens, which score with the look-ahead and always stay."""
    kernel: OddCount = 7
    """Scores are pooled over this many entries."""
    pool: Literal["max", "mean"] = "max"
    """How they are pooled."""
    reduction: Literal["max", "mean"] = "max"
    """Over the query group and the queries together."""
    lookahead: Count | None = None
    """Tokens the draft writes at most; as many as the answer may have when not given."""
    protect: bool = True
    """Keep the chat template and the question whatever their scores."""

    def pays(self, prompt_length: int) -> bool:
        """Whether anything would be dropped: one entry more than the budget is left alone."""
        return entries_kept(self.keep, prompt_length) + 1 < prompt_length

    def uses_draft(self) -> bool:
        """Whether a draft is run."""
        return True

    def evicts(self) -> bool:
        """Whether cache entries are dropped."""
        return True

    def on_prompt(self, prompt: Prompt, draft: Draft, answer_tokens: int) -> Prompt:
        """The prompt with the draft's guess of the answer behind it."""
        if not self.pays(len(prompt)):
            return prompt
        budget, until = entries_kept(self.keep, len(prompt)), len(prompt) - self.window - 1
        check_budget("speckv", budget, {"window": self.window}, prompt, self.protect, until)
        guess = draft.read(prompt, _look_only, lookahead=self.lookahead or answer_tokens)
        return prompt.with_lookahead(guess)

    def on_layer(self, view: LayerView) -> Tensor | None:
        """The best entries before the window, then the window, without the last token.

        The last prompt token is read again afterwards, so its entry goes too.
        """
        length = view.prompt_length
        if not self.pays(length):
            return None
        guessed = view.keys.shape[1] - length
        until = length - self.window - 1
        rows = window_scores(view, self.window + guessed + 1, self.reduction)
        scores = pooled(rows[:, :until], self.kernel, self.pool)
        budget = entries_kept(self.keep, length) - self.window
        best = chosen_entries(scores, budget, must_stay(view, self.protect, until))
        return with_window(best, range(until, length - 1))


def _look_only(view: LayerView) -> None:
    """Drop nothing."""

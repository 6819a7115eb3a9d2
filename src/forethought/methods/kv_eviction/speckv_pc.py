"""Compress the prompt by a draft's attention, then evict the cache by its guessed answer.

Paper: SpecKV-PC, the cascade of arXiv:2506.08373 (ICLR 2026)
Exact: when both budgets reach the prompt's length; equals SpecKV when prompt_keep alone
does, and SpecPC when keep reaches prompt_keep, each of the same settings.
Cost: one draft run (prompt and lookahead); the target reads prompt_keep and lookahead tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from forethought.contracts.parameters import Count, CountOrZero, Keep, OddCount, entries_kept
from forethought.contracts.records import Prompt
from forethought.contracts.roles import Draft
from forethought.methods.kv_eviction._eviction import Evicting, Eviction
from forethought.methods.kv_eviction.importance.draft_lookahead import DraftLookahead
from forethought.numerics.prompt_choice import DraftChoice


@dataclass(frozen=True)
class SpecKVPC(Evicting):
    """SpecPC on the prompt, then SpecKV on the cache, from one run of the draft."""

    prompt_keep: Keep = 2048
    """Prompt tokens the target reads."""
    prompt_window: Count = 64
    """The last prompt tokens, whose draft attention counts and which always stay."""
    prompt_kernel: Count = 32
    """Draft scores are pooled over, and kept with, this many tokens."""
    prompt_reduction: Literal["max", "mean", "window-mean"] = "max"
    """Of the draft's attention; window-mean averages the queries first."""
    first_layer: CountOrZero | None = None
    """First draft layer whose attention counts."""
    keep: Keep = 512
    """Cache entries per layer and head after the prompt; a share is of the compressed prompt."""
    window: Count = 32
    """The last prompt tokens, which score with the look-ahead and always stay."""
    kernel: OddCount = 7
    """Entry scores are pooled over this many entries."""
    reduction: Literal["max", "mean"] = "max"
    """Of the target's attention, over the query group and the queries together."""
    lookahead: Count | None = None
    """Tokens the draft writes at most; as many as the answer may have when not given."""
    protect: bool = True
    """Keep the chat template and the question whatever their scores."""

    def pays(self, prompt_length: int) -> bool:
        """Whether either stage would drop anything."""
        return entries_kept(self.prompt_keep, prompt_length) < prompt_length or (
            self.eviction().pays(prompt_length)
        )

    def reads(self, prompt_length: int) -> int:
        """How many of the prompt's tokens the target will read."""
        return entries_kept(self.prompt_keep, prompt_length)

    def on_prompt(self, prompt: Prompt, draft: Draft, answer_tokens: int) -> Prompt:
        """The compressed prompt with the draft's guess of the answer behind it."""
        if not self.pays(len(prompt)):
            return prompt
        choice = self._choice(len(prompt))
        choice.check(prompt, "speckv-pc")
        rows, guess = choice.read(prompt, draft, self.lookahead or answer_tokens)
        if choice.budget < len(prompt):
            prompt = choice.chosen(prompt, draft, rows)
        if not self.eviction().pays(len(prompt)):
            return prompt
        self.eviction().check(prompt)
        return prompt.with_lookahead(guess)

    def eviction(self) -> Eviction:
        """What its second stage is made of: SpecKV, over the compressed prompt."""
        return Eviction(
            method="speckv-pc",
            keep=self.keep,
            importance=DraftLookahead(self.window, self.kernel, "max", self.reduction),
            newest=self.window,
            protect=self.protect,
            lookahead=self.lookahead,
        )

    def _choice(self, prompt_length: int) -> DraftChoice:
        return DraftChoice(
            budget=entries_kept(self.prompt_keep, prompt_length),
            window=self.prompt_window,
            kernel=self.prompt_kernel,
            pool="max",
            neighbours=self.prompt_kernel,
            reduction=self.prompt_reduction,
            weighted=True,
            protect=self.protect,
            first_layer=self.first_layer,
        )

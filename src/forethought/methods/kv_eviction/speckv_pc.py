"""Compress the prompt by a draft's attention, then evict the cache by its drafted answer.

Paper: SpecKV-PC, the cascade of arXiv:2506.08373 (ICLR 2026). The authors' code scores the prompt
    by the draft's layers from 8 to the last.
Published: code; furiosa-ai/draft-based-approx-llm. Its look-ahead is 20 tokens long; with
    lookahead=none it is as long as the answer may be, as in speckv.
Exact: when both budgets reach the prompt's length. Equals SpecKV when only prompt_keep does, and
SpecPC when keep reaches prompt_keep, each of the same settings.
Cost: one draft run (prompt and lookahead); the target prefills prompt_keep and lookahead tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from forethought.contracts.names import method_name
from forethought.contracts.parameters import Count, CountOrZero, Keep, OddCount, entries_kept
from forethought.contracts.records import Prompt
from forethought.contracts.roles import Draft
from forethought.methods.kv_eviction._eviction import Evicting, Eviction
from forethought.methods.kv_eviction.importance.draft import DraftLookahead
from forethought.numerics.prompt_choice import DraftChoice


@dataclass(frozen=True)
class SpecKVPC(Evicting):
    """SpecPC on the prompt, then SpecKV on the cache, from one run of the draft."""

    revision: ClassVar[int] = 3
    """The first used the draft layers of specpc-shallow, the second a look-ahead of an answer."""

    prompt_keep: Keep = 2048
    """Prompt tokens the target prefills: a count, or a share of the prompt."""
    prompt_window: Count = 64
    """Last prompt tokens: their draft attention scores the prompt, and they always stay."""
    prompt_kernel: Count = 32
    """Width of the pooling over draft scores, and tokens kept around each chosen token."""
    prompt_reduction: Literal["max", "mean", "window-mean"] = "max"
    """Reduction of the draft's attention; window-mean averages the queries first."""
    first_layer: CountOrZero = 8
    """First draft layer whose attention counts."""
    last_layer: Count | None = None
    """Draft layers whose attention may count; all by default."""
    keep: Keep = 512
    """KV-cache entries per layer and head: a count, or a share of the compressed prompt."""
    window: Count = 32
    """Last prompt tokens: they score the entries with the look-ahead, and always stay."""
    kernel: OddCount = 7
    """Width of the pooling kernel over entry scores, in entries."""
    reduction: Literal["max", "mean"] = "max"
    """Reduction of the target's attention over the query group and the queries."""
    lookahead: Count | None = 20
    """Most tokens the draft decodes; none for the answer's token limit."""

    def pays(self, prompt_length: int) -> bool:
        """Whether either stage drops anything."""
        return entries_kept(self.prompt_keep, prompt_length) < prompt_length or (
            self.eviction().pays(prompt_length)
        )

    def reads(self, prompt_length: int) -> int:
        """Prompt tokens that the target prefills."""
        return entries_kept(self.prompt_keep, prompt_length)

    def scored_layers(self, draft: Draft) -> range:
        """The draft layers whose attention scores the prompt."""
        return range(self.first_layer, min(draft.layers, self.last_layer or draft.layers))

    def scored_queries(self) -> int | None:
        """The window that scores the prompt."""
        return self.prompt_window

    def on_prompt(self, prompt: Prompt, draft: Draft, answer_tokens: int) -> Prompt:
        """The compressed prompt, followed by the draft's look-ahead."""
        choice = self._choice(len(prompt), draft)
        if choice.budget == len(prompt):
            return super().on_prompt(prompt, draft, answer_tokens)
        choice.check(prompt, method_name(type(self)))
        rows, guess = choice.read(prompt, draft, self.lookahead or answer_tokens)
        prompt = choice.chosen(prompt, draft, rows)
        if not self.eviction().pays(len(prompt)):
            return prompt
        self.eviction().check(prompt)
        return prompt.with_lookahead(guess)

    def eviction(self) -> Eviction:
        """The second stage: SpecKV over the compressed prompt."""
        return Eviction(
            self,
            DraftLookahead(self.window, self.kernel, "max", self.reduction),
            newest=self.window,
            lookahead=self.lookahead,
        )

    def _choice(self, prompt_length: int, draft: Draft) -> DraftChoice:
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
            last_layer=self.last_layer or draft.layers,
        )

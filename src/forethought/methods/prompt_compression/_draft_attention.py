"""The base of methods that choose prompt tokens as SpecPC does, by a draft's attention."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

from forethought.contracts.parameters import Count, entries_kept
from forethought.contracts.records import Prompt
from forethought.contracts.roles import Draft
from forethought.methods.prompt_compression._shortening import Shortening
from forethought.numerics.prompt_choice import DraftChoice


@dataclass(frozen=True)
class DraftAttention(Shortening):
    """Keeps the tokens that the draft's last queries attend to, and their neighbours."""

    window: Count = 64
    """Last prompt tokens: their attention scores the prompt, and they always stay."""
    pool: Literal["max", "mean"] = "max"
    """Pooling of the scores."""
    neighbours: Count | None = None
    """Tokens kept around each chosen token; the kernel's width by default."""
    reduction: Literal["max", "mean", "window-mean"] = "max"
    """Reduction over heads, queries, layers and steps; window-mean averages queries first."""
    weighted: bool = True
    """Weight the window's queries from 0 for the oldest to 1 for the last."""
    lookahead: Count = 1
    """Tokens the draft decodes; the queries of all but the last score too."""

    @abstractmethod
    def kernel_for(self, room: int) -> int:
        """The pooling kernel's width, if `room` tokens may be chosen."""

    @abstractmethod
    def layers_of(self, draft: Draft) -> range:
        """The draft layers whose attention counts; the draft runs up to the last of them."""

    def uses_draft(self) -> bool:
        """Whether a draft runs."""
        return True

    def draft_layers(self, draft: Draft) -> int:
        """The layers up to the last that counts, or all if the draft decodes."""
        return draft.layers if self.lookahead > 1 else min(draft.layers, self.layers_of(draft).stop)

    def scored_layers(self, draft: Draft) -> range:
        """The layers whose attention counts."""
        return self.layers_of(draft)

    def lookahead_tokens(self, answer_tokens: int) -> int:
        """The look-ahead; of one token it adds no query, so the draft decodes nothing."""
        return self.lookahead if self.lookahead > 1 else 0

    def newest_queries(self) -> int | None:
        """The window."""
        return self.window

    def on_prompt(self, prompt: Prompt, draft: Draft, answer_tokens: int) -> Prompt:
        """The prompt of the chosen tokens."""
        if not self.pays(len(prompt)):
            return prompt
        choice = self.choice(prompt, self.layers_of(draft))
        choice.check(prompt, self.name)
        rows, _ = choice.read(prompt, draft, self.lookahead_tokens(answer_tokens))
        return choice.chosen(prompt, draft, rows)

    def choice(self, prompt: Prompt, layers: range) -> DraftChoice:
        """The settings of the selection, by the attention of these draft layers."""
        budget = entries_kept(self.keep, len(prompt))
        stays = {*range(len(prompt) - self.window, len(prompt))}
        stays |= prompt.protected if self.protect else frozenset()
        kernel = self.kernel_for(budget - len(stays))
        return DraftChoice(
            budget=budget,
            window=self.window,
            kernel=kernel,
            pool=self.pool,
            neighbours=self.neighbours or kernel,
            reduction=self.reduction,
            weighted=self.weighted,
            protect=self.protect,
            first_layer=layers.start,
            last_layer=layers.stop,
        )

"""Drop the prompt tokens that a draft model attends to least, before the target prefills.

Paper: SpecPC, arXiv:2506.08373 (ICLR 2026)
Published: ours; the layers fit the draft and the kernel fits the budget, where the authors' code
    has layers 8 to the last and a kernel of 32 or 64.
Exact: when keep reaches the prompt's length; below it, the answer cannot see dropped tokens.
Cost: the draft prefills the prompt up to its last used layer; the target prefills keep tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from forethought.contracts.parameters import Count, CountOrZero, entries_kept
from forethought.contracts.records import Prompt
from forethought.contracts.roles import Draft
from forethought.methods.prompt_compression._shortening import Shortening
from forethought.numerics.prompt_choice import DraftChoice


@dataclass(frozen=True)
class SpecPC(Shortening):
    """Keeps the tokens that the draft's last queries attend to, and their neighbours."""

    window: Count = 64
    """Last prompt tokens: their attention scores the prompt, and they always stay."""
    kernel: Count | None = None
    """Width of the pooling over scores, in tokens; 16 to 64 by default, growing with keep."""
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
    first_layer: CountOrZero | None = None
    """First draft layer whose attention counts; chosen to fit the draft by default."""
    last_layer: Count | None = None
    """Draft layers that run; chosen to fit the draft by default."""

    def uses_draft(self) -> bool:
        """Whether a draft runs."""
        return True

    def draft_layers(self, draft: Draft) -> int:
        """The layers up to the last that counts, or all if the draft decodes."""
        last = draft.layer_span[1] if self.last_layer is None else self.last_layer
        return draft.layers if self.lookahead > 1 else min(draft.layers, last)

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
        choice = self._choice(prompt)
        choice.check(prompt, self.name)
        rows, _ = choice.read(prompt, draft, self.lookahead_tokens(answer_tokens))
        return choice.chosen(prompt, draft, rows)

    def _choice(self, prompt: Prompt) -> DraftChoice:
        budget = entries_kept(self.keep, len(prompt))
        stays = {*range(len(prompt) - self.window, len(prompt))}
        stays |= prompt.protected if self.protect else frozenset()
        kernel = self.kernel or _kernel(budget - len(stays))
        return DraftChoice(
            budget=budget,
            window=self.window,
            kernel=kernel,
            pool=self.pool,
            neighbours=self.neighbours or kernel,
            reduction=self.reduction,
            weighted=self.weighted,
            protect=self.protect,
            first_layer=self.first_layer,
            last_layer=self.last_layer,
        )


def _kernel(room: int) -> int:
    """The widest kernel, up to the published 64, with room for four peaks of twice its width."""
    return min(64, max(16, room // 8))

"""Drop prompt tokens that a draft model pays no attention to, before the target reads them.

Paper: SpecPC, arXiv:2506.08373 (ICLR 2026)
Exact: when keep reaches the prompt's length; below it, dropped tokens are lost to the answer.
Cost: the draft reads the prompt up to its last used layer; the target reads keep tokens.
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
    """The last prompt tokens, whose attention counts and which always stay."""
    kernel: Count | None = None
    """Scores are pooled over this many tokens; 16 to 64, the more are kept, when not given."""
    pool: Literal["max", "mean"] = "max"
    """How they are pooled."""
    neighbours: Count | None = None
    """Tokens kept around each chosen one; as many as the kernel when not given."""
    reduction: Literal["max", "mean", "window-mean"] = "max"
    """Over heads, queries, layers and steps; window-mean averages the queries first."""
    weighted: bool = True
    """Later queries of the window count more, from 0 for the oldest to 1 for the last."""
    lookahead: Count = 1
    """Tokens the draft writes; the rows of all but the last count too."""
    first_layer: CountOrZero | None = None
    """First draft layer whose attention counts; chosen to fit the draft when not given."""
    last_layer: Count | None = None
    """The draft stops after this many layers; chosen to fit the draft when not given."""

    def uses_draft(self) -> bool:
        """Whether a draft is run."""
        return True

    def draft_layers(self, draft: Draft) -> int:
        """Those up to the last one that counts; all of them where it has to write."""
        last = draft.layer_span[1] if self.last_layer is None else self.last_layer
        return draft.layers if self.lookahead > 1 else min(draft.layers, last)

    def on_prompt(self, prompt: Prompt, draft: Draft, answer_tokens: int) -> Prompt:
        """The prompt of the chosen tokens."""
        if not self.pays(len(prompt)):
            return prompt
        choice = self._choice(prompt)
        choice.check(prompt, self.name)
        # One written token needs no decode step, so no row of its own: nothing to write.
        rows, _ = choice.read(prompt, draft, self.lookahead if self.lookahead > 1 else 0)
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
    """The widest kernel up to the published 64 with which four peaks fit: each keeps twice it."""
    return min(64, max(16, room // 8))

"""Drop prompt tokens that matter neither to the question nor to a drafted answer.

Paper: SpecPC, arXiv:2506.08373 (ICLR 2026)
Published: ours (own name); Paper: one ranking by weighted queries. Here: window and look-ahead
    scores are ranked separately, and tokens are taken alternately. Queries of the window have equal
    weights, layers count from the middle one on, and window and kernel are 32.
Exact: when keep reaches the prompt's length; below it, the answer cannot see dropped tokens.
Cost: the draft prefills the prompt through all its layers and decodes lookahead tokens, more than
    for specpc; the target prefills keep tokens.
Example: forethought "Who signed it?" -f contract.txt -m qwen-coder-1.5b -d qwen-coder-0.5b
    -x specpc-fused
"""

from __future__ import annotations

from dataclasses import dataclass

from forethought.contracts.parameters import Count, CountOrZero, entries_kept
from forethought.contracts.records import Prompt
from forethought.contracts.roles import Draft
from forethought.methods.prompt_compression._shortening import Shortening
from forethought.numerics.prompt_choice import DraftChoice


@dataclass(frozen=True)
class SpecPCFused(Shortening):
    """The question's attention chooses half of the tokens, the drafted answer's the other half."""

    window: Count = 32
    """Last prompt tokens: their queries stand for the question, and they always stay."""
    kernel: Count = 32
    """Width of the pooling over scores, and tokens kept around each chosen token."""
    lookahead: Count = 32
    """Tokens the draft decodes; the queries of all but the last stand for the answer."""
    first_layer: CountOrZero | None = None
    """First draft layer whose attention counts; the middle layer by default."""

    def uses_draft(self) -> bool:
        """Whether a draft runs."""
        return True

    def lookahead_tokens(self, answer_tokens: int) -> int:
        """The look-ahead."""
        return self.lookahead

    def scored_layers(self, draft: Draft) -> range:
        """The layers whose attention counts."""
        return range(self._first_layer(draft), draft.layers)

    def newest_queries(self) -> int | None:
        """The window."""
        return self.window

    def on_prompt(self, prompt: Prompt, draft: Draft, answer_tokens: int) -> Prompt:
        """The prompt of the chosen tokens."""
        if not self.pays(len(prompt)):
            return prompt
        choice = self._choice(prompt, draft)
        choice.check(prompt, self.name)
        rows, _ = choice.read(prompt, draft, self.lookahead)
        return choice.chosen(prompt, draft, rows)

    def _choice(self, prompt: Prompt, draft: Draft) -> DraftChoice:
        return DraftChoice(
            budget=entries_kept(self.keep, len(prompt)),
            window=self.window,
            kernel=self.kernel,
            pool="max",
            neighbours=self.kernel,
            reduction="window-mean",
            weighted=False,
            protect=self.protect,
            first_layer=self._first_layer(draft),
            last_layer=draft.layers,
            fusion="rank",
        )

    def _first_layer(self, draft: Draft) -> int:
        return draft.layers // 2 if self.first_layer is None else self.first_layer

"""Drop prompt tokens that matter neither to the question nor to what a draft answers.

Paper: SpecPC, arXiv:2506.08373 (ICLR 2026), with its look-ahead; that both looks choose in turns,
    as in rank fusion, is ours
Exact: when keep reaches the prompt's length; below it, dropped tokens are lost to the answer.
Cost: the draft reads the prompt through all its layers and writes lookahead tokens, which is
    more than specpc takes; the target reads keep tokens.
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
    """Half of what stays is chosen by the question's attention, half by the written answer's."""

    window: Count = 32
    """The last prompt tokens, which look for the question and always stay."""
    kernel: Count = 32
    """Scores are pooled over, and kept with, this many tokens."""
    lookahead: Count = 32
    """Tokens the draft writes; all but the last look for the answer."""
    first_layer: CountOrZero | None = None
    """First draft layer whose attention counts; the middle one when not given."""

    def uses_draft(self) -> bool:
        """Whether a draft is run."""
        return True

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
            first_layer=draft.layers // 2 if self.first_layer is None else self.first_layer,
            last_layer=draft.layers,
            fusion="rank",
        )

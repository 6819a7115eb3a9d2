"""The FLOPs that a budget reserves for a prefill: passes, drafts, look-ahead and scores."""

from __future__ import annotations

import math
from dataclasses import dataclass

from forethought.contracts.roles import Approximation
from forethought.contracts.score_work import PromptSizes
from forethought.cost.flops import answer_flops, rows_flops
from forethought.models.chat.prompt import question_tokens
from forethought.models.model import Model
from forethought.prefill.draft_model import ModelDraft
from forethought.prefill.plan import PrefillPlan, total_prefill_flops


@dataclass(frozen=True)
class PrefillBound:
    """Bounds of a plan; the models that help some methods to choose are not among them."""

    plan: PrefillPlan
    draft: ModelDraft
    answer_tokens: int

    def most(self, length: int) -> float:
        """An upper bound for a prompt of this many tokens."""
        methods = self.plan.applied
        flops = total_prefill_flops(methods, length, self.draft)
        return flops + sum(self._choosing(method, length) for method in methods)

    def read(self, length: int) -> int:
        """Tokens of such a prompt that the target prefills."""
        for method in self.plan.applied:
            length = method.reads(length)
        return length

    def fits(self, length: int, target: Model) -> bool:
        """Whether the tokens of such a prompt that the target prefills fit its context."""
        read = self.read(length)
        return read < target.for_length(read + self.answer_tokens).shape.context

    def _choosing(self, method: Approximation, length: int) -> float:
        """An upper bound on the FLOPs that a method's choice needs besides the prefills."""
        ahead = method.lookahead_tokens(self.answer_tokens)
        draft, target = self.draft.serving(method).model.shape, self.draft.target.shape
        newest = method.newest_queries()
        queries = ahead + 1 + (length if newest is None else newest)
        flops = rows_flops(draft, length, queries) if method.uses_draft() else 0.0
        if ahead:  # the target may prefill the look-ahead too
            flops += answer_flops(draft, length, ahead)
            flops += 2 * answer_flops(target, length, ahead + 1)
        return flops + self._scoring(method, length)

    def _scoring(self, method: Approximation, length: int) -> float:
        """An upper bound on the scores of the target's entries, and on their passes."""
        shape = self.draft.target.shape
        ahead = method.lookahead_tokens(self.answer_tokens)
        kept = method.entries_after(length, len(shape.layers))
        work = method.score_work(PromptSizes(shape, length, kept, ahead, asked=self._asked))
        passes = (answer_flops(shape, math.ceil(one.past), one.tokens) for one in work.passes)
        return work.flops + sum(passes)

    def _asked(self, text: str) -> int:
        """Tokens of a turn that asks a text."""
        target = self.draft.target
        return len(question_tokens(target.tokenizer, target.template, text))

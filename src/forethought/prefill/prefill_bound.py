"""The FLOPs that a budget reserves for a prefill: passes, drafts, look-ahead and scores."""

from __future__ import annotations

from dataclasses import dataclass

from forethought.contracts.roles import Approximation
from forethought.cost.flops import answer_flops, rows_flops
from forethought.models.chat.prompt import question_tokens
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

    def _choosing(self, method: Approximation, length: int) -> float:
        """An upper bound on the FLOPs that a method's choice needs besides the prefills."""
        ahead = method.lookahead_tokens(self.answer_tokens)
        draft, target = self.draft.serving(method).model.shape, self.draft.target.shape
        newest = method.newest_queries()
        queries = ahead + 1 + (length if newest is None else newest)
        flops = rows_flops(draft, length, queries) if method.uses_draft() else 0.0
        flops += rows_flops(target, length, queries) if method.evicts() else 0.0
        if ahead:  # the target may prefill the look-ahead too
            flops += answer_flops(draft, length, ahead)
            flops += 2 * answer_flops(target, length, ahead + 1)
        return flops + self._scoring(method, length)

    def _scoring(self, method: Approximation, length: int) -> float:
        """An upper bound on passes over the whole cache, and on the attention that they show."""
        shape = self.draft.target.shape
        passes = method.scoring_tokens(length, self._asked)
        return sum(
            answer_flops(shape, length, tokens)
            + rows_flops(shape, min(length, tokens) + tokens, tokens)
            for tokens in passes
        )

    def _asked(self, text: str) -> int:
        """Tokens of a turn that asks a text."""
        target = self.draft.target
        return len(question_tokens(target.tokenizer, target.template, text))

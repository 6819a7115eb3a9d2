"""Selection of prompt tokens by a draft's attention, for prompt compression and cascades."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from forethought.contracts.errors import BadParameterError, BudgetTooSmallError
from forethought.numerics.importance import AttentionRows, best_ranks, pooled, tokens_to_keep

if TYPE_CHECKING:
    from forethought.contracts.records import Prompt
    from forethought.contracts.roles import Draft


@dataclass(frozen=True)
class DraftChoice:
    """Settings that turn a draft's attention into a selection; most are SpecPC's parameters."""

    budget: int
    window: int
    kernel: int
    pool: str
    neighbours: int
    reduction: str
    weighted: bool
    protect: bool
    first_layer: int | None = None
    last_layer: int | None = None
    fusion: Literal["score", "rank"] = "score"
    """How look-ahead rows join the window's rows: in one reduction, or by the better rank."""

    def check(self, prompt: Prompt, method: str) -> None:
        """Raise BudgetTooSmallError if the protected tokens exceed the budget."""
        needed = len(self._protected(prompt))
        if needed > self.budget:
            raise BudgetTooSmallError(
                f"{method} keeps {self.budget} tokens, but {needed} must stay: the chat template, "
                "and the question after its document",
                f"keep {needed} or more, or use protect=false",
            )

    def read(self, prompt: Prompt, draft: Draft, lookahead: int) -> tuple[AttentionRows, list[int]]:
        """Run the draft once; return its attention rows and its look-ahead tokens."""
        first, last = draft.layer_span
        first = first if self.first_layer is None else self.first_layer
        last = min(draft.layers, last if self.last_layer is None else self.last_layer)
        if first >= last:
            raise BadParameterError(
                f"no layer of the draft {draft.name} is counted: first_layer is {first}, and "
                f"the draft stops after {last} of {draft.layers} layers",
                f"use a first_layer below {last}, or a greater last_layer",
            )
        layers = range(first, last)

        def find() -> tuple[AttentionRows, list[int]]:
            rows = AttentionRows(self.window, layers, self.weighted, self.reduction)
            guess = draft.read(
                prompt, rows.look, layers=last, lookahead=lookahead, queries=self.window
            )
            return rows, guess

        what = ("attention", self.window, layers, self.weighted, self.reduction, lookahead)
        return draft.recall(what, prompt, find)

    def chosen(self, prompt: Prompt, draft: Draft, rows: AttentionRows) -> Prompt:
        """The prompt cut to the budget."""
        reductions = (
            [rows.scores] if self.fusion == "score" else [*rows.window_rows, *rows.lookahead_rows]
        )
        carried = [draft.carry(look, prompt) for look in reductions]
        scores = [pooled(one, self.kernel, self.pool).cpu().numpy() for one in carried]
        kept = tokens_to_keep(
            best_ranks(scores),
            self.budget,
            window=self.window,
            neighbours=self.neighbours,
            protected=self._protected(prompt),
        )
        return prompt.keep(kept)

    def _protected(self, prompt: Prompt) -> frozenset[int]:
        return prompt.protected if self.protect else frozenset()

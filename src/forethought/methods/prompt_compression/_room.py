"""The budget for droppable tokens, after the protected tokens are in."""

from __future__ import annotations

from dataclasses import dataclass

from forethought.contracts.errors import BudgetTooSmallError
from forethought.contracts.parameters import Keep, entries_kept
from forethought.contracts.records import Prompt


@dataclass(frozen=True)
class PromptRoom:
    """The protected and the droppable tokens of a prompt, and the budget for the latter."""

    protected: frozenset[int]
    free: tuple[int, ...]
    """The droppable tokens, ascending."""
    count: int
    """Droppable tokens that may stay."""

    def kept(self, chosen: list[int]) -> list[int]:
        """The indices to keep, given the `chosen` droppable tokens.

        BudgetTooSmallError if there are none.
        """
        if not (self.protected or chosen):
            raise BudgetTooSmallError(
                f"nothing of the prompt fits into {self.count} tokens",
                "keep more, or use protect=True",
            )
        return sorted([*self.protected, *chosen])

    def runs(self) -> list[tuple[int, int]]:
        """First and last token of every run of consecutive droppable tokens."""
        free = self.free
        breaks = [n for n in range(1, len(free)) if free[n] != free[n - 1] + 1]
        starts, stops = [0, *breaks], [*breaks, len(free)]
        return [(free[a], free[b - 1]) for a, b in zip(starts, stops, strict=True) if b > a]


def room_in(prompt: Prompt, keep: Keep, method: str, *, protect: bool) -> PromptRoom:
    """The room under a budget `keep`; BudgetTooSmallError if protected tokens exceed it."""
    protected = prompt.protected if protect else frozenset()
    budget = entries_kept(keep, len(prompt))
    if len(protected) > budget:
        raise BudgetTooSmallError(
            f"{method} keeps {budget} tokens, but {len(protected)} must stay: "
            "the chat template, and a question behind its document",
            f"keep {len(protected)} or more, or use protect=false",
        )
    free = tuple(i for i in range(len(prompt)) if i not in protected)
    return PromptRoom(protected, free, budget - len(protected))

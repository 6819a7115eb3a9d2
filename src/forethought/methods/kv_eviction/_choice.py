"""What the eviction methods share: scores of a window's rows, and entries that must stay."""

from __future__ import annotations

import torch
from torch import Tensor

from forethought.contracts.errors import BudgetTooSmallError
from forethought.contracts.records import Prompt
from forethought.contracts.roles import LayerView
from forethought.numerics.importance import best_entries


def window_scores(view: LayerView, count: int, reduction: str) -> Tensor:
    """[K, E]: the last `count` queries' attention, reduced over them and the query group."""
    total: Tensor | None = None
    groups = queries = 0
    for rows in view.window_rows(count):
        groups, queries = rows.shape[1], queries + rows.shape[2]
        part = rows.amax((1, 2)) if reduction == "max" else rows.sum((1, 2))
        if total is None:
            total = part
        else:
            total = torch.maximum(total, part) if reduction == "max" else total + part
    assert total is not None, "a window has at least one query"
    return total if reduction == "max" else total / (groups * queries)


def must_stay(view: LayerView, protect: bool, until: int) -> Tensor:
    """Protected entries before `until`, ascending [P]."""
    wanted = sorted(i for i in view.protected if i < until) if protect else []
    return torch.tensor(wanted, dtype=torch.long, device=view.keys.device)


def chosen_entries(scores: Tensor, budget: int, stay: Tensor) -> Tensor:
    """The `budget` entries [K, budget] of scores [K, n] to keep, those of `stay` among them."""
    ranked = scores.clone()
    ranked[:, stay] = torch.inf
    return best_entries(ranked, budget)


def with_window(chosen: Tensor, window: range) -> Tensor:
    """Chosen entries [K, M], then the window's, for every head."""
    newest = torch.arange(window.start, window.stop, device=chosen.device)
    return torch.cat([chosen, newest.expand(chosen.shape[0], -1)], 1)


def check_budget(
    method: str, budget: int, window: int, prompt: Prompt, protect: bool, until: int
) -> None:
    """Raise BudgetTooSmallError unless window and protected entries before it fit."""
    outside = sum(i < until for i in prompt.protected) if protect else 0
    if window >= budget or window + outside > budget:
        raise BudgetTooSmallError(
            f"{method} keeps {budget} entries, but its window is {window} and template and "
            f"question need {outside} more",
            f"keep {window + outside + 1} or more, use a smaller window, or protect=False",
        )

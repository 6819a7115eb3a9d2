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
    method: str,
    budget: int,
    always: dict[str, int],
    prompt: Prompt,
    protect: bool,
    until: int,
) -> None:
    """Raise BudgetTooSmallError unless more fits than is always kept.

    `always` are the parameters that say how many entries stay whatever their scores, and
    these entries do not lie before `until`, as protected ones may.
    """
    outside = sum(i < until for i in prompt.protected) if protect else 0
    fixed = sum(always.values())
    if fixed < budget and fixed + outside <= budget:
        return
    stated = " and ".join(f"{name}={count}" for name, count in always.items())
    more = f", and what must stay needs {outside} more" if outside else ""
    ways = [f"keep {fixed + outside + 1} or more", f"use a smaller {' or '.join(always)}"]
    raise BudgetTooSmallError(
        f"{method} keeps {budget} entries, of which {stated} takes {fixed}{more}",
        ", ".join(ways) + (", or protect=False" if protect else ""),
    )

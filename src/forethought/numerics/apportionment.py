"""Whole numbers of a fixed sum: budgets that are shared out and never overspent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def apportioned(quotas: Sequence[float], total: int, caps: Sequence[int]) -> list[int]:
    """Whole numbers near `quotas`, at most `caps`, that sum to `total` or to all the caps.

    Every quota is rounded down; what is missing goes one by one to the largest remainders,
    those of lower index first. The quotas may sum to no more than `total`.
    """
    shares = [min(int(quota), cap) for quota, cap in zip(quotas, caps, strict=True)]
    order = sorted(range(len(shares)), key=lambda i: (shares[i] - quotas[i], i))
    _hand_out(shares, min(total, sum(caps)), caps, order)
    return shares


def falling_budgets(layers: int, mean: int, steepness: int, cap: int) -> list[int]:
    """A budget for each layer on a falling line, of `layers * mean` in all where `cap` allows.

    The line ends at `mean // steepness` unless its start would pass `cap`. Budgets are rounded
    down; what is missing goes one by one to the first layers.
    """
    if layers == 1 or cap <= mean:
        return [min(mean, cap)] * layers
    high = min(2 * mean - mean // steepness, cap)
    drop = 2 * (high - mean)
    budgets = [high + (-layer * drop) // (layers - 1) for layer in range(layers)]
    _hand_out(budgets, layers * mean, [cap] * layers, range(layers))
    return budgets


def _hand_out(shares: list[int], total: int, caps: Sequence[int], order: Iterable[int]) -> None:
    """Raise shares one by one, in this order and again, until they sum to `total`."""
    missing, order = total - sum(shares), list(order)
    while missing > 0:
        open_shares = [i for i in order if shares[i] < caps[i]][:missing]
        for i in open_shares:
            shares[i] += 1
        missing -= len(open_shares)

"""Apportionment: a total split into whole numbers that sum to it exactly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def apportioned(quotas: Sequence[float], total: int, caps: Sequence[int]) -> list[int]:
    """Round `quotas` to whole numbers, at most `caps`, that sum to `total` or to the sum of caps.

    Largest-remainder rounding: every quota is rounded down, and the rest goes one by one to the
    largest remainders, lower indices first. The quotas sum to `total` at most.
    """
    shares = [min(int(quota), cap) for quota, cap in zip(quotas, caps, strict=True)]
    order = sorted(range(len(shares)), key=lambda i: (shares[i] - quotas[i], i))
    _hand_out(shares, min(total, sum(caps)), caps, order)
    return shares


def falling_budgets(layers: int, mean: int, steepness: int, cap: int) -> list[int]:
    """A budget per layer on a falling line, `layers * mean` in total if `cap` allows.

    The line ends at `mean // steepness` unless its start would pass `cap`. Budgets are rounded
    down; the rest goes one by one to the first layers.
    """
    if layers == 1 or cap <= mean:
        return [min(mean, cap)] * layers
    high = min(2 * mean - mean // steepness, cap)
    drop = 2 * (high - mean)
    budgets = [high + (-layer * drop) // (layers - 1) for layer in range(layers)]
    _hand_out(budgets, layers * mean, [cap] * layers, range(layers))
    return budgets


def _hand_out(shares: list[int], total: int, caps: Sequence[int], order: Iterable[int]) -> None:
    """Raise shares by one, cycling through `order`, until they sum to `total`."""
    missing, order = total - sum(shares), list(order)
    while missing > 0:
        open_shares = [i for i in order if shares[i] < caps[i]][:missing]
        for i in open_shares:
            shares[i] += 1
        missing -= len(open_shares)

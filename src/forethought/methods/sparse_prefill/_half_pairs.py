"""Query-key pairs of an attention by halves, from its sizes alone."""

from __future__ import annotations

from collections.abc import Callable


def estimated_pairs(keys: int, block: int, sample: int, bits: int) -> float:
    """Pairs of a query with its block, with the sample, and, half as dear, with the hashes."""
    return keys / -(-keys // block) + sample + bits / 2


def half_pairs(length: int, exact: int, per_query: Callable[[int], float]) -> float:
    """Pairs of a causal stretch: of both its halves, and of the later one over the earlier one."""
    if length <= exact:
        return length * (length + 1) / 2
    earlier = -(-length // 2)
    later = length - earlier
    between = later * (earlier if earlier <= exact else per_query(earlier))
    first = half_pairs(earlier, exact, per_query)
    second = first if later == earlier else half_pairs(later, exact, per_query)
    return first + second + between

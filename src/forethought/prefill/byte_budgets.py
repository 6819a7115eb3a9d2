"""Converts budgets in bytes to numbers of entries of a model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeGuard

from forethought.contracts.errors import BadParameterError, BudgetTooSmallError
from forethought.contracts.parameters import bytes_of
from forethought.contracts.roles import Approximation
from forethought.cost.flops import entry_bytes
from forethought.cost.precision import STORED_BITS

if TYPE_CHECKING:
    from forethought.models.model import Model


def with_entry_budgets(
    methods: Sequence[tuple[str, Approximation]], target: Model
) -> tuple[tuple[str, Approximation], ...]:
    """The methods, with every budget in bytes converted to entries of a model.

    Raises BudgetTooSmallError if not even one entry fits, and BadParameterError for a method
    whose entries `keep` does not bound.
    """
    entry = entry_bytes(target.shape, target.network.dtype.itemsize)
    return in_entries(methods, entry, len(target.shape.layers))


def in_entries(
    methods: Sequence[tuple[str, Approximation]], entry: int, layers: int
) -> tuple[tuple[str, Approximation], ...]:
    """As `with_entry_budgets`, for entries of so many bytes without quantisation, in all layers."""
    bits = STORED_BITS[min([16, *(method.cache_bits() for _, method in methods)])]
    each = entry * bits / 16
    # The last group of entries has its own scale and zero point, even if it is not full.
    started = entry if bits < 16 else 0
    return tuple(
        (name, _with_entry_budget(name, method, each, started, layers)) for name, method in methods
    )


def _with_entry_budget(
    name: str, method: Approximation, each: float, started: int, layers: int
) -> Approximation:
    fields = {field: getattr(method, field, None) for field in ("keep", "prompt_keep")}
    sizes = {field: bytes_of(size) for field, size in fields.items() if _is_byte_budget(size)}
    beyond = method.entries_beyond(layers)
    if sizes and beyond == math.inf:
        raise BadParameterError(
            f"{name} keeps more entries than keep, so a number of bytes cannot bound them",
            "count entries: keep=256",
        )
    entries = {
        field: int((size - started) // each) - math.ceil(beyond) for field, size in sizes.items()
    }
    if any(count < 1 for count in entries.values()):
        raise BudgetTooSmallError(
            f"{name}: one entry of this model takes {each:,.0f} bytes in all its layers",
            "allow more, or count entries: keep=256",
        )
    return replace(method, **entries) if entries else method  # type: ignore[type-var]


def _is_byte_budget(value: object) -> TypeGuard[str]:
    return isinstance(value, str)

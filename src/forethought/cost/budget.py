"""Budgets and their spelling: `500tok`, `2s`, `1TFLOP`, `$0.01`, joined by commas."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import get_args

from forethought.contracts.errors import BadParameterError
from forethought.contracts.records import LimitKind

_AMOUNT = re.compile(r"(\$?)((?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?)([A-Za-z]*)", re.ASCII | re.I)
_PREFIXES = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "p": 1e15, "e": 1e18}
_UNITS = {
    "tok": ("tokens", 1.0),
    "token": ("tokens", 1.0),
    "tokens": ("tokens", 1.0),
    "ms": ("seconds", 1e-3),
    "s": ("seconds", 1.0),
    "min": ("seconds", 60.0),
    "usd": ("usd", 1.0),
    **{f"{prefix}flop": ("flops", factor) for prefix, factor in _PREFIXES.items()},
    **{f"{prefix}flops": ("flops", factor) for prefix, factor in _PREFIXES.items()},
}
_HINT = "write it like 500tok, 2s, 1TFLOP or $0.01, joined by commas"


@dataclass(frozen=True)
class Limit:
    """Spending limits of a run; None is no limit."""

    tokens: int | None = None
    """Output tokens of the target, over all samples."""
    seconds: float | None = None
    flops: float | None = None
    usd: float | None = None

    @property
    def kinds(self) -> frozenset[LimitKind]:
        """The kinds that have a limit."""
        kinds: tuple[LimitKind, ...] = get_args(LimitKind)
        return frozenset(kind for kind in kinds if getattr(self, kind) is not None)


def spend_limit(text: str) -> Limit:
    """Parse a budget; the empty text is no limit."""
    found: dict[str, float] = {}
    for part in text.split(",") if text.strip() else []:
        if not part.strip():
            raise BadParameterError(f"the budget {text!r} has a comma too many", _HINT)
        kind, amount = _amount(part)
        if kind in found:
            raise BadParameterError(f"the budget {text!r} limits {kind} twice", "keep one of them")
        found[kind] = amount
    tokens = int(found.pop("tokens")) if "tokens" in found else None
    return Limit(tokens=tokens, **found)


def _amount(part: str) -> tuple[str, float]:
    match = _AMOUNT.fullmatch("".join(part.split()))
    if not match:
        raise BadParameterError(f"the budget {part.strip()!r} is not an amount", _HINT)
    dollar, number, unit = match[1], float(match[2]), match[3].lower()
    kind, factor = _UNITS.get("usd" if dollar and not unit else unit, ("", 0.0))
    amount = number * factor
    if not kind or (dollar and unit):
        raise BadParameterError(f"the budget {part.strip()!r} has no unit we know", _HINT)
    least = 1.0 if kind == "tokens" else 0.0
    if not least <= amount < float("inf") or amount == 0 or (kind == "tokens" and amount % 1):
        raise BadParameterError(f"the budget {part.strip()!r} cannot be spent", _HINT)
    return kind, amount

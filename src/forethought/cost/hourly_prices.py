"""Prices of hardware by the hour, dated; a file of the user's replaces them.

Shipped prices go stale, so each row has its source and date, and every table that uses one names
them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from forethought.contracts.errors import BadDataError


@dataclass(frozen=True)
class HourlyPrice:
    """US dollars for one accelerator and hour."""

    usd: float
    source: str
    date: str

    def __str__(self) -> str:
        return f"${self.usd:g} an hour ({self.source}, {self.date})"


_LAMBDA = ("lambda.ai/instances, on demand", "2026-09-20")
_RUNPOD = ("runpod.io/pricing, pods", "2026-10-07")
_OPENRELAY = ("openrelay.inc/pricing", "2026-09-20")
HOURLY = {
    "a100": HourlyPrice(2.79, *_LAMBDA),
    "a100-40gb": HourlyPrice(1.99, *_LAMBDA),
    "a6000": HourlyPrice(1.09, *_LAMBDA),
    "b200": HourlyPrice(6.99, *_LAMBDA),
    "h100": HourlyPrice(4.29, *_LAMBDA),
    "h100-pcie": HourlyPrice(3.29, *_LAMBDA),
    "h200": HourlyPrice(4.59, *_RUNPOD),
    "rtx-3090": HourlyPrice(0.18, *_OPENRELAY),
    "rtx-4090": HourlyPrice(0.29, *_OPENRELAY),
    "v100": HourlyPrice(0.79, *_LAMBDA),
}
"""Known prices by the hardware's name; other hardware has none."""


def read_hourly(path: Path) -> dict[str, HourlyPrice]:
    """The prices in a JSON file such as {"date": "2026-11-30", "usd_per_hour": {"h100": 2.5}}."""
    try:
        held = json.loads(path.read_text("utf-8"))
        date = str(held.get("date", "no date"))
        found = {
            str(name).lower(): HourlyPrice(float(usd), path.name, date)
            for name, usd in held["usd_per_hour"].items()
        }
        wrong = [name for name, price in found.items() if not 0 <= price.usd < 1e9]
        wrong += [name for name, usd in held["usd_per_hour"].items() if isinstance(usd, bool)]
        if wrong:
            raise ValueError(f"the price of {wrong[0]} is out of range")
    except (
        OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError
    ) as error:  # fmt: skip
        raise BadDataError(
            f"{path} holds no prices: {error}",
            'write it like {"date": "2026-11-30", "usd_per_hour": {"h100": 2.5}}',
        ) from error
    return found


def hourly_price(name: str, own: Mapping[str, HourlyPrice]) -> HourlyPrice | None:
    """The price of hardware, the user's first; None if neither is known."""
    return own.get(name, HOURLY.get(name))

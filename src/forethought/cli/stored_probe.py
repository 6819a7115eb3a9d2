"""What this machine adds to a run's document: its share of the roofline, and its price."""

from __future__ import annotations

from typing import Any

from forethought.contracts.errors import BadParameterError, ForethoughtError
from forethought.storage.location import probe_file


def with_roofline(run: dict[str, Any]) -> dict[str, Any]:
    """A run's document with `roofline`, if this machine was probed and the run decoded here."""
    file = probe_file()
    if not file.is_file() or run["recipe"].startswith(("http://", "https://")):
        return run
    from forethought.cost.hardware import read_hardware
    from forethought.sessions.roofline_share import roofline_share

    try:
        found = roofline_share(run, read_hardware(file))
    except ForethoughtError:  # a damaged probe or configuration must not lose an answer
        return run
    return run if found is None else {**run, "roofline": found}


def checked_price(per_hour: float | None) -> float | None:
    """The value of --usd-per-hour; BadParameterError if it is no price."""
    if per_hour is not None and not 0 <= per_hour < 1e9:
        raise BadParameterError(f"--usd-per-hour {per_hour:g} is no price", "state it in dollars")
    return per_hour


def with_usd(run: dict[str, Any], per_hour: float | None) -> dict[str, Any]:
    """A run's document with the price of its seconds on this machine, unless it has a price.

    Runs that differ in it have different identifiers.
    """
    cost = run["cost"]
    if per_hour is None or cost["usd"] is not None:
        return run
    from forethought.recipes.identity import priced_identifier

    name, usd = priced_identifier(run["run"], per_hour), cost["seconds"] * per_hour / 3600
    return {**run, "run": name, "cost": {**cost, "usd": usd}}

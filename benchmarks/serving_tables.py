"""The tables of a serving benchmark: each measurement, ratios of servers, memory over time."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

COLUMNS = [
    "round", "server", "errors", "tokens/s", "× alone", "first ms", "first p99", "inter ms",
    "inter p99", "beside long p99", "long first s", "client cores", "MiB/min",
]  # fmt: skip
COMPARED = ["tokens/s", "× alone", "first ms", "first p99", "inter ms", "inter p99"]
QUARTERS = {"1/4": 0.25, "1/2": 0.5, "3/4": 0.75, "end": 1.0}
MEMORY_COLUMNS = ["round", "server", "quantity", *QUARTERS, "per minute, last half"]
Found = dict[str, Any]
"""The figures of one server in one round."""
Readings = Sequence[tuple[float, float]]
"""Seconds since the start of the load, and a value."""


def row(found: Found) -> dict[str, Any]:
    """The figures of one measurement as a row of the table."""
    rate, alone = found["tokens_per_second"], found.get("alone", {}).get("tokens_per_second")
    return {
        "round": found["round"],
        "server": found["server"],
        "errors": sum(found["errors"].values()),
        "tokens/s": rate,
        "× alone": rate / alone if alone else "",
        "first ms": _milliseconds(found["first_token"], "median"),
        "first p99": _milliseconds(found["first_token"], "p99"),
        "inter ms": _milliseconds(found["inter_token"], "median"),
        "inter p99": _milliseconds(found["inter_token"], "p99"),
        "beside long p99": _milliseconds(found["inter_token_beside_long_prompts"], "p99"),
        "long first s": found["long_first_token"].get("median", ""),
        "client cores": found["client_cores"],
        "MiB/min": slope(readings(found, "resident_bytes"), 60 / (1 << 20)),
    }


def ratios(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each further server against the first, round by round: the median and the range."""
    first, *others = dict.fromkeys(one["server"] for one in rows)
    cells = {(one["server"], one["round"]): one for one in rows}
    rounds = [one["round"] for one in rows if one["server"] == first]
    return [
        {
            "server": f"{name} / {first}",
            **{
                column: _spread([
                    cells[name, number][column] / cells[first, number][column]
                    for number in rounds
                    if (name, number) in cells
                    and cells[name, number][column]
                    and cells[first, number][column]
                ])
                for column in COMPARED
            },
        }
        for name in others
    ]  # fmt: skip


def memory_rows(found: Found) -> list[dict[str, Any]]:
    """Resident memory, the server's own metrics, and the memory that its `_bytes` leave over.

    Prefix caches fill during a load: growth beyond them is a leak, or the allocator.
    """
    names = list(dict.fromkeys(name for one in found["watched"] for name in one if name != "at"))
    series = {name: readings(found, name) for name in names}
    own = [name for name in names if name.endswith("_bytes") and name != "resident_bytes"]
    if "resident_bytes" in series and own:
        series[" - ".join(["resident_bytes", *own])] = [
            (one["at"], one["resident_bytes"] - sum(one[name] for name in own))
            for one in found["watched"]
            if all(name in one for name in ("resident_bytes", *own))
        ]
    return [
        _over_time(name, values, found["load"]["seconds"])
        | {"round": found["round"], "server": found["server"]}
        for name, values in series.items()
        if values
    ]


def write_readings(path: Path, documents: Sequence[Found]) -> None:
    """Every reading of every server as a line of CSV."""
    names = dict.fromkeys(name for one in documents for each in one["watched"] for name in each)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["round", "server", *names])
        writer.writeheader()
        for one in documents:
            place = {"round": one["round"], "server": one["server"]}
            writer.writerows({**place, **each} for each in one["watched"])


def readings(found: Found, name: str) -> Readings:
    """The readings that have a value of this name."""
    return [(one["at"], one[name]) for one in found["watched"] if name in one]


def slope(values: Readings, factor: float) -> float | str:
    """Growth a second in the second half of the readings, after caches have filled."""
    late = values[len(values) // 2 :]
    if len(late) < 2:
        return ""
    seconds, amounts = zip(*late, strict=True)
    return factor * statistics.linear_regression(seconds, amounts).slope


def _over_time(name: str, values: Readings, seconds: float) -> dict[str, Any]:
    """The reading nearest to each quarter of the load; bytes are in MiB."""
    unit = 1 << 20 if name.endswith("_bytes") else 1
    times = {label: share * seconds for label, share in QUARTERS.items()}
    nearest = {
        label: min(values, key=lambda one, when=at: abs(one[0] - when))[1] / unit
        for label, at in times.items()
    }
    grows = slope(values, 60 / unit)
    label = name.replace("_bytes", " MiB") if unit > 1 else name
    return {"quantity": label, **nearest, "per minute, last half": grows}


def _milliseconds(spread: dict[str, float], which: str) -> float | str:
    return 1000 * spread[which] if spread else ""


def _spread(values: Sequence[float]) -> str:
    if not values:
        return ""
    middle = f"{statistics.median(values):.3g}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.3g} to {max(values):.3g})"

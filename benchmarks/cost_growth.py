"""The tables of `cost_curves.py`: points, and growth exponents of each curve."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

Point = dict[str, Any]
COLUMNS = [
    "recipe", "context", "prompt", "prefilled", "first token s", "× exact", "TFLOP", "KV MiB",
    "peak KV MiB", "peak MiB", "above models MiB", "stages and notes",
]  # fmt: skip
MEASURES: dict[str, Callable[[Point], float | None]] = {
    "seconds": lambda point: point["seconds"],
    "FLOPs": lambda point: point["flops"],
    "KV bytes": lambda point: point["kv_bytes"],
    "peak bytes": lambda point: point["peak_bytes"],
    "above models": lambda point: above(point),
}
EXPONENT_COLUMNS = ["recipe", "prompts", *MEASURES, "notes"]


@dataclass(frozen=True)
class Growth:
    """How a cost grows with the length: as its power `exponent`."""

    exponent: float
    """Slope of the logarithms by least squares."""
    low: float
    high: float
    """The lowest and the highest slope between neighbouring lengths."""

    def __str__(self) -> str:
        return f"{self.exponent:.2f} ({self.low:.2f} to {self.high:.2f})"


def growth(places: Sequence[tuple[float, float]]) -> Growth | None:
    """The growth of (length, cost) pairs; None for fewer than two lengths or a cost of 0."""
    if len({length for length, _ in places}) < 2 or min(min(pair) for pair in places) <= 0:
        return None
    logs = sorted((math.log(length), math.log(cost)) for length, cost in places)
    slopes = [(d - b) / (c - a) for (a, b), (c, d) in pairwise(logs)]
    fitted = statistics.linear_regression([x for x, _ in logs], [y for _, y in logs])
    return Growth(fitted.slope, min(slopes), max(slopes))


def above(point: Point) -> float | None:
    """Peak memory above that of the loaded models."""
    peak, loaded = point["peak_bytes"], point["loaded_bytes"]
    return None if peak is None else peak - loaded


def curves(points: Sequence[Point]) -> dict[str, list[Point]]:
    """The measured points of each recipe, shorter prompts first."""
    run = sorted((one for one in points if "skipped" not in one), key=lambda one: one["prompt"])
    names = dict.fromkeys(point["recipe"] for point in points)
    return {name: own for name in names if (own := [p for p in run if p["recipe"] == name])}


def places(points: Sequence[Point], measure: str) -> list[tuple[float, float]]:
    """(prompt length, cost) of the points that have the cost."""
    found = ((point["prompt"], MEASURES[measure](point)) for point in points)
    return [(length, cost) for length, cost in found if cost is not None]


def exponents(points: Sequence[Point]) -> list[dict[str, Any]]:
    """A row of growth exponents for each recipe."""
    rows = []
    for name, own in curves(points).items():
        found = {measure: growth(places(own, measure)) for measure in MEASURES}
        span = f"{own[0]['prompt']:,} to {own[-1]['prompt']:,}"
        grown = {measure: str(one or "") for measure, one in found.items()}
        rows.append({"recipe": name, "prompts": span, **grown, "notes": noted(own)})
    return rows


def noted(points: Sequence[Point]) -> str:
    """The notes of a curve with its lengths: a method that was skipped had the exact costs."""
    lengths: dict[str, list[str]] = {}
    for point in points:
        if point["notes"]:
            lengths.setdefault("; ".join(point["notes"]), []).append(f"{point['prompt']:,}")
    return " · ".join(f"at {', '.join(at)}: {words}" for words, at in lengths.items())


def cells(points: Sequence[Point]) -> list[dict[str, Any]]:
    """A row of figures for each point; the exact run is the recipe of a model alone."""
    exact = {p["tokens"]: p["seconds"] for p in points if "skipped" not in p and alone(p["recipe"])}
    return [_cells(point, exact.get(point["tokens"])) for point in points]


def alone(recipe: str) -> bool:
    """Whether a spelling is that of a model without methods."""
    from forethought.recipes.recipe import Recipe

    return not Recipe.parse(recipe).approximate


def _cells(point: Point, exact: float | None) -> dict[str, Any]:
    row = {"recipe": point["recipe"], "context": point["tokens"]}
    if "skipped" in point:
        return {**row, "stages and notes": f"skipped: {point['skipped']}"}
    stages = " ".join(f"{name} {spent:.2f}" for name, spent in point["stages"].items())
    return {
        **row,
        "prompt": point["prompt"],
        "prefilled": point["prefilled"],
        "first token s": point["seconds"],
        "× exact": exact / point["seconds"] if exact else "",
        "TFLOP": point["flops"] / 1e12,
        "KV MiB": point["kv_bytes"] / 2**20,
        "peak KV MiB": point["peak_kv_bytes"] / 2**20,
        "peak MiB": _mebibytes(point["peak_bytes"]),
        "above models MiB": _mebibytes(above(point)),
        "stages and notes": "; ".join([stages, *point["notes"]]),
    }


def _mebibytes(value: float | None) -> Any:
    return "" if value is None else f"{value / 2**20:,.0f}"

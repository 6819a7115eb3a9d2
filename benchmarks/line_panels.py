"""Lines in panels as an SVG: a row of panels for each set of tensors, a column for each measure."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

from forethought.reports.charts.scale import Scale, linear_scale, ticks

_COLOURS = ("#2563eb", "#93c5fd", "#d97706", "#059669", "#be185d")
_PANEL, _HEIGHT, _TOP, _LEFT, _GAP = 330, 220, 34, 52, 70


@dataclass(frozen=True)
class Axes:
    """The fields of a row that a drawing shows, and their names."""

    across: str
    """The field from 0 to 1 along the horizontal axis."""
    across_name: str
    measures: dict[str, str]
    """The name of each field that has a column of panels."""
    label: str
    """The description of the drawing for screen readers."""


def chart(rows: list[dict[str, Any]], axes: Axes) -> str:
    """The SVG; `tensors` of a row names its panels, and `family` its line."""
    sets = list(dict.fromkeys(row["tensors"] for row in rows))
    families = list(dict.fromkeys(row["family"] for row in rows))
    width = len(axes.measures) * (_PANEL + _GAP) + _LEFT
    height = len(sets) * (_HEIGHT + _GAP) + _TOP + 20 * len(families)
    parts = [_legend(name, n) for n, name in enumerate(families)]
    for n, name in enumerate(sets):
        own = [row for row in rows if row["tensors"] == name]
        top = 20 * len(families) + _TOP + n * (_HEIGHT + _GAP)
        for column, measure in enumerate(axes.measures):
            left = _LEFT + column * (_PANEL + _GAP)
            parts += _panel(own, families, measure, name, axes, left, top)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="12" role="img" '
        f'aria-label="{escape(axes.label)}">'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>\n'
    )


def _panel(
    rows: list[dict[str, Any]],
    families: list[str],
    measure: str,
    name: str,
    axes: Axes,
    left: int,
    top: int,
) -> list[str]:
    x = linear_scale([0.0, 1.0], left, left + _PANEL)
    y = linear_scale([0.0, *(row[measure] for row in rows)], top + _HEIGHT, top)
    title = _text(left, top - 10, f"{name}: {axes.measures[measure]}", "start")
    parts = [title, *_grid(x, y, axes.across_name, left, top)]
    for n, family in enumerate(families):
        points = sorted((r[axes.across], r[measure]) for r in rows if r["family"] == family)
        places = [(x.at(share), y.at(value)) for share, value in points]
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{_COLOURS[n]}"/>')
        parts += [
            f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{_COLOURS[n]}"/>' for a, b in places
        ]
    return parts


def _grid(x: Scale, y: Scale, across: str, left: int, top: int) -> list[str]:
    parts = []
    for value in ticks(y, 5):
        at = y.at(value)
        parts.append(f'<path d="M{left} {at:.1f}h{_PANEL}" stroke="#e5e7eb"/>')
        parts.append(_text(left - 6, at + 4, f"{value:g}", "end"))
    for value in ticks(x, 5):
        parts.append(_text(x.at(value), top + _HEIGHT + 16, f"{value:g}", "middle"))
    parts.append(_text(left + _PANEL / 2, top + _HEIGHT + 32, across, "middle"))
    return parts


def _legend(name: str, n: int) -> str:
    at = 18 + 20 * n
    dot = f'<circle cx="{_LEFT}" cy="{at - 4}" r="4" fill="{_COLOURS[n]}"/>'
    return dot + _text(_LEFT + 12, at, name, "start")


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'

"""The drawing of `cost_curves.py`: each cost against the prompt's length, both logarithmic."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from cost_growth import Point, curves, growth, places
from forethought.reports.charts.scale import Scale, log_scale, ticks

_COLOURS = (
    "#111827", "#2563eb", "#93c5fd", "#7c3aed", "#d97706", "#059669", "#be185d", "#dc2626",
    "#0891b2", "#65a30d",
)  # fmt: skip
_PANEL, _HEIGHT, _LEFT, _GAP, _LINE = 380, 240, 60, 80, 18
_DRAWN = {
    "seconds": "seconds to the first token",
    "FLOPs": "FLOPs",
    "KV bytes": "bytes of the KV cache after prefill",
    "above models": "peak bytes above the loaded models",
}


def chart(points: Sequence[Point]) -> str:
    """An SVG of four panels; the legend of a panel has the growth exponent of each curve."""
    found = {_short(name): own for name, own in curves(points).items()}
    step = _HEIGHT + _LINE * len(found) + _GAP
    parts = []
    for n, measure in enumerate(_DRAWN):
        lines = {name: places(own, measure) for name, own in found.items()}
        left, top = _LEFT + n % 2 * (_PANEL + _GAP), 30 + n // 2 * step
        parts += _panel(measure, lines, left, top)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" '
        f'viewBox="0 0 {2 * (_PANEL + _GAP)} {2 * step}" font-family="sans-serif" font-size="12" '
        f'role="img" aria-label="Costs of recipes against the length of the prompt">'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>\n'
    )


def _short(recipe: str) -> str:
    """A recipe without its models, which all curves of a drawing share."""
    parts = [part for part in recipe.split("+")[1:] if not part.startswith("draft(")]
    return " + ".join(parts) or "exact"


def _panel(
    measure: str, lines: dict[str, list[tuple[float, float]]], left: int, top: int
) -> list[str]:
    parts = [_text(left, top - 10, _DRAWN[measure], "start")]
    shown = [(x, y) for line in lines.values() for x, y in line if y > 0]
    if not shown:
        return [*parts, _text(left, top + 20, "not measured", "start")]
    across = log_scale([x for x, _ in shown], left, left + _PANEL)
    up = log_scale([y for _, y in shown], top + _HEIGHT, top)
    parts += _grid(across, up, left, top)
    for n, (name, line) in enumerate(lines.items()):
        colour = _COLOURS[n % len(_COLOURS)]
        parts += _curve(across, up, [(x, y) for x, y in line if y > 0], colour)
        grown = growth(line)
        words = f"{name}: {grown.exponent:.2f}" if grown else name
        parts += _legend(words, colour, left, top + _HEIGHT + 48 + _LINE * n)
    return parts


def _curve(across: Scale, up: Scale, line: Sequence[tuple[float, float]], colour: str) -> list[str]:
    at = [(across.at(x), up.at(y)) for x, y in line]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in at]
    return [f'<polyline points="{path}" fill="none" stroke="{colour}"/>', *dots]


def _grid(across: Scale, up: Scale, left: int, top: int) -> list[str]:
    parts = []
    for value in ticks(up, 5):
        at = up.at(value)
        parts.append(f'<path d="M{left} {at:.1f}h{_PANEL}" stroke="#e5e7eb"/>')
        parts.append(_text(left - 6, at + 4, f"{value:.3g}", "end"))
    for value in ticks(across, 6, binary=True):
        parts.append(_text(across.at(value), top + _HEIGHT + 16, f"{value:,.0f}", "middle"))
    parts.append(_text(left + _PANEL / 2, top + _HEIGHT + 30, "prompt tokens", "middle"))
    return parts


def _legend(words: str, colour: str, left: float, at: float) -> list[str]:
    dot = f'<circle cx="{left + 4}" cy="{at - 4}" r="4" fill="{colour}"/>'
    return [dot, _text(left + 14, at, words, "start")]


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'

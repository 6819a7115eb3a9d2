"""The roofline of an estimated cost as an SVG file of its own."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from forethought.reports import units
from forethought.reports.charts.scale import Scale, log_scale, ticks

_WIDTH, _HEIGHT = 720.0, 440.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 92.0, 24.0, 44.0, 54.0
_COLOURS = ("#3b6fb5", "#c2622d", "#3f8f5f", "#8a5aa8")
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#333}.title{font-size:14px;font-weight:600}"
    ".grid{stroke:#ddd;stroke-width:1}.roof{fill:none;stroke:#555;stroke-width:2}"
    ".exact{fill:none;stroke-width:2;stroke-dasharray:3 2}"
    "@media(prefers-color-scheme:dark){svg{background:#1b1b1b}text{fill:#ddd}"
    ".grid{stroke:#3a3a3a}.roof{stroke:#bbb}}"
)


def roofline_svg(found: dict[str, Any]) -> str:
    """Draw a document of `cost_document`: the roof, its stages, and those of the exact run."""
    peak, bandwidth = _roof(found)
    stages = [*found["stages"], *found["exact"]["stages"]]
    drawn = [one for one in stages if one["seconds"] and one["flops"] and one["bytes_moved"]]
    reached = [one["flops"] / one["seconds"] for one in drawn]
    turning = found["turning_point"]
    across = [one["intensity"] for one in drawn] + [turning / 8, turning * 8]
    x = log_scale(across, _LEFT, _WIDTH - _RIGHT)
    y = log_scale([*reached, peak, x.low * bandwidth], _HEIGHT - _BOTTOM, _TOP)
    title = f"{found['recipe']} on {found['hardware']['title']}"
    parts = [
        f"<style>{_STYLE}</style>",
        f'<text class="title" x="{_LEFT:g}" y="24">{escape(title)}</text>',
        *_grid(x, y),
        _path(x, y, peak, bandwidth),
        *_stages(found["exact"]["stages"], x, y, exact=True),
        *_stages(found["stages"], x, y, exact=False),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" '
        f'role="img" aria-label="{escape(title)}: roofline">{"".join(parts)}</svg>\n'
    )


def _roof(found: dict[str, Any]) -> tuple[float, float]:
    machine, count = found["hardware"], found["accelerators"]
    peak = machine["peak8" if found["weights"] == "w8a8" else "peak"]
    return peak * count, machine["bandwidth"] * count


def _path(x: Scale, y: Scale, peak: float, bandwidth: float) -> str:
    corners = [(x.low, x.low * bandwidth), (peak / bandwidth, peak), (x.high, peak)]
    path = "L".join(f"{x.at(across):.1f} {y.at(up):.1f}" for across, up in corners)
    return f'<path class="roof" d="M{path}"/>'


def _grid(x: Scale, y: Scale) -> Iterator[str]:
    for value in ticks(x, 7):
        at = x.at(value)
        yield _line(at, y.end, at, y.start)
        yield _text(at, y.start + 18, f"{value:g}", "middle")
    for value in ticks(y, 6):
        at = y.at(value)
        yield _line(x.start, at, x.end, at)
        yield _text(x.start - 8, at + 4, f"{units.flops(value)}/s", "end")
    yield _text((x.start + x.end) / 2, _HEIGHT - 12, "FLOPs per byte moved", "middle")


def _stages(stages: list[dict[str, Any]], x: Scale, y: Scale, *, exact: bool) -> Iterator[str]:
    for place, stage in enumerate(stages):
        if not (stage["seconds"] and stage["flops"] and stage["bytes_moved"]):
            continue
        colour = _COLOURS[_place(stage["name"], place) % len(_COLOURS)]
        across, down = x.at(stage["intensity"]), y.at(stage["flops"] / stage["seconds"])
        if exact:
            yield (
                f'<circle class="exact" cx="{across:.1f}" cy="{down:.1f}" r="8" stroke="{colour}">'
                f"<title>exact {escape(stage['name'])}</title></circle>"
            )
            continue
        said = f"{stage['name']}, {units.seconds(stage['seconds'])}, {stage['bound']}-bound"
        yield f'<circle cx="{across:.1f}" cy="{down:.1f}" r="5" fill="{colour}"/>'
        anchor, aside = ("start", 10) if across < (x.start + x.end) / 2 else ("end", -10)
        yield _text(across + aside, down + 18, said, anchor)


def _place(name: str, place: int) -> int:
    """The colour of a stage: equal for a stage and its exact form."""
    known = ("prefill", "decode", "draft", "scores")
    return known.index(name) if name in known else place


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="grid" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'

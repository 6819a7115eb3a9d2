"""An estimated cost as terminal text: stages, time, memory, money and the roofline."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from forethought.reports import units

_LABEL = 11
_BOLD, _RESET = "\x1b[1m", "\x1b[0m"
_HEIGHT = 11
_HEADS = ("stage", "FLOPs", "bytes moved", "FLOP/byte", "time", "bound by")


def cost_text(found: dict[str, Any], *, width: int, colour: bool) -> str:
    """Format a document of `cost_document` in at most `width` columns."""
    title = _title(found)
    rows = [("time", _time(found)), ("memory", _memory(found)), ("fits", _fits(found))]
    rows += [("money", _money(found)), ("energy", _energy(found)), ("kept", _kept(found))]
    rows += [("timed", _timed(found))]
    rows += [("note", note) for note in found["notes"]]
    rows += [("instead", _instead(one, found)) for one in found["alternatives"]]
    lines = [line for label, text in rows if text for line in _row(label, text, width)]
    parts = [
        f"{_BOLD}{title}{_RESET}" if colour else title,
        _table(found),
        "\n".join(lines),
        _roofline(found, min(width, 76)),
    ]
    return "\n\n".join(parts)


def _title(found: dict[str, Any]) -> str:
    asked, count = found["request"], found["accelerators"]
    machine = f"{f'{count} x ' if count > 1 else ''}{found['hardware']['title']}"
    batch = f" · {asked['batch']} at once" if asked["batch"] > 1 else ""
    answers = f"{asked['samples']} answers of" if asked["samples"] > 1 else "answer"
    lengths = f"prompt {asked['prompt']:,} · {answers} {asked['answer']:,}{batch}"
    return f"{found['recipe']} on {machine} · {found['weights']} · {lengths}"


def _table(found: dict[str, Any]) -> str:
    rows = [_cells(stage["name"], stage, stage["bound"]) for stage in found["stages"]]
    rows.append(_cells("total", found["cost"], ""))
    if found["exact"]["flops"] != found["cost"]["flops"] or len(found["stages"]) > 2:
        rows.append(_cells("exact", found["exact"], ""))
    rows += [_cells(one["name"], one["cost"], "") for one in found["alternatives"]]
    table = [_HEADS, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(_HEADS))]
    return "\n".join(_line(row, widths) for row in table)


def _cells(name: str, cost: dict[str, Any], bound: str) -> tuple[str, ...]:
    moved, intensity = units.memory(cost["bytes_moved"]), f"{cost['intensity']:,.3g}"
    return name, units.flops(cost["flops"]), moved, intensity, units.seconds(cost["seconds"]), bound


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = cells
    told = [f"{cell:>{width}}" for cell, width in zip(others[:-1], widths[1:], strict=False)]
    return f"  {first:<{widths[0]}}  {'  '.join(told)}  {others[-1]}".rstrip()


def _time(found: dict[str, Any]) -> str:
    timing, asked = found["timing"], found["request"]
    parts = [f"first token {units.seconds(timing['first_token'])}"]
    if timing["per_token"]:
        rows = asked["batch"] * asked["samples"]
        rate = rows / timing["per_token"]
        parts.append(f"then {f'{rate:,.0f}' if rate >= 100 else f'{rate:.3g}'} tokens/s")
    measured = found["hardware"]["measured"] is not None
    kind = "predicted from the probe of this machine" if measured else "a lower bound"
    return " · ".join([*parts, kind, f"compute-bound above {found['turning_point']:.3g} FLOP/byte"])


def _memory(found: dict[str, Any]) -> str:
    held = found["memory"]
    caches = units.memory(found["cost"]["peak_cache_bytes"])
    return (
        f"weights {units.memory(held['weight_bytes'])} · cache {caches} at the end · "
        f"{units.memory(held['token_cache_bytes'])} a token"
    )


def _fits(found: dict[str, Any]) -> str:
    held = found["memory"]
    room = units.memory(found["hardware"]["memory"] * found["accelerators"])
    if not held["context"]:
        return f"the weights do not fit into {room}"
    whole = ", all that the model holds," if held["context"] == held["model_context"] else ","
    return (
        f"{held['requests']:,} such requests, or one sequence of {held['context']:,} tokens{whole} "
        f"beside the weights in {room}"
    )


def _money(found: dict[str, Any]) -> str:
    price, usd = found["price"], found["cost"]["usd"]
    if price is None:
        return "no price of this hardware: state one with --usd-per-hour or --prices"
    asked = found["request"]
    tokens = asked["batch"] * (asked["prompt"] + asked["samples"] * asked["answer"])
    million = usd / tokens * 1e6
    return (
        f"{units.dollars(usd)} · {units.dollars(million)} a million tokens · at ${price['usd']:g} "
        f"an hour ({price['source']}, {price['date']})"
    )


def _energy(found: dict[str, Any]) -> str:
    """Energy at full power; empty if the power is unknown."""
    joules = found["cost"]["joules"]
    if joules is None:
        return ""
    return f"{units.joules(joules)} at {found['hardware']['watts']:g} W an accelerator"


def _timed(found: dict[str, Any]) -> str:
    """The idealized runtime; empty without timed requests."""
    held = found.get("idealized")
    if held is None:
        return ""
    asked = f"{held['requests']} timed requests"
    parts = [
        f"{units.seconds(held['seconds'])} (idealized runtime of {asked})",
        f"first token {units.seconds(held['first_token'])}",
        f"{1000 * held['per_token']:.3g} ms a token",
        f"R² {held['r_squared']:.4g}",
        f"{units.seconds(held['seconds_by_context'])} with a term for the context",
    ]
    parts += [units.dollars(held["usd"])] if held["usd"] is not None else []
    parts += [units.joules(held["joules"])] if held["joules"] is not None else []
    parts += ["the prompt is longer than all timed ones"] if held["extrapolated"] else []
    return " · ".join(parts)


def _kept(found: dict[str, Any]) -> str:
    kept = found["kept"]
    parts = []
    if kept["prompt_tokens"] < kept["of"]:
        parts.append(f"{kept['prompt_tokens']:,} of {kept['of']:,} prompt tokens")
    if kept["entries"] < kept["prompt_tokens"]:
        parts.append(f"{kept['entries']:,.0f} cache entries a head")
    return " · ".join(parts)


def _instead(one: dict[str, Any], found: dict[str, Any]) -> str:
    """The savings of an alternative."""
    fewer, less = (1 - one["cost"][kind] / found["cost"][kind] for kind in ("flops", "seconds"))
    skipped = " and ".join(found["skipped"])
    how = f"{one['name']} applies {skipped}" if one["draft"] else f"{skipped} {one['name']}"
    return (
        f"{how}: {abs(fewer):.0%} {'fewer' if fewer > 0 else 'more'} FLOPs, "
        f"{abs(less):.0%} {'less' if less > 0 else 'more'} time, "
        f"first token {units.seconds(one['timing']['first_token'])}"
    )


def _row(label: str, text: str, width: int) -> list[str]:
    indent = " " * (_LABEL + 1)
    wrapped = textwrap.wrap(text, max(width - len(indent), 20), break_on_hyphens=False)
    first, *rest = wrapped or [""]
    return [f"  {label:<{_LABEL - 1}}{first}", *(indent + line for line in rest)]


def _roofline(found: dict[str, Any], width: int) -> str:
    """The roof and the stages below it, both axes logarithmic."""
    machine, count = found["hardware"], found["accelerators"]
    eight = found["weights"] == "w8a8"
    peak = machine["peak8" if eight else "peak"] * count
    bandwidth = machine["bandwidth"] * count
    points = list(_points(found["stages"]))
    columns = max(20, width - 14)
    low, high = _range([at for _, at, _ in points], found["turning_point"])
    floor = min([reached for _, _, reached in points] + [low * bandwidth])
    grid = [[" "] * columns for _ in range(_HEIGHT)]
    for column in range(columns):
        at = low * (high / low) ** (column / (columns - 1))
        roof = "─" if at * bandwidth >= peak else "/"
        grid[_height(min(peak, at * bandwidth), floor, peak)][column] = roof
    for mark, at, reached in points:
        column = round(math.log(at / low) / math.log(high / low) * (columns - 1))
        grid[_height(reached, floor, peak)][min(max(column, 0), columns - 1)] = mark
    left = [f"{units.flops(peak)}/s", *[""] * (_HEIGHT - 2), f"{units.flops(floor)}/s"]
    lines = [f"{name:>12} │{''.join(row)}" for name, row in zip(left, grid, strict=True)]
    axis = f"{low:.2g} FLOP/byte"
    below = f"{'':>12} └{axis}{f'{high:.3g}':>{columns - len(axis)}}"
    legend = " · ".join(f"{place} {one['name']}" for place, one in enumerate(found["stages"], 1))
    return "\n".join([*lines, below, f"{'':>14}{legend}"])


def _points(stages: Sequence[dict[str, Any]]) -> Iterator[tuple[str, float, float]]:
    """Number, intensity and FLOP/s of each stage."""
    for place, stage in enumerate(stages, 1):
        if stage["seconds"] and stage["flops"] and stage["bytes_moved"]:
            yield str(place), stage["intensity"], stage["flops"] / stage["seconds"]


def _range(intensities: Sequence[float], turning: float) -> tuple[float, float]:
    every = [*intensities, turning]
    return min(every) / 4, max(every) * 4


def _height(value: float, floor: float, peak: float) -> int:
    """The row of a value, from the top."""
    share = math.log(value / floor) / math.log(peak / floor) if value > floor else 0.0
    return min(max(round((1 - share) * (_HEIGHT - 1)), 0), _HEIGHT - 1)

"""Finds the fastest weight formats for decoding and for scoring, once per model and machine.

Speeds depend on the kernels: 4-bit products are four times as fast as bf16 on a CPU with AVX-512,
and slower without it. The choice is stored beside the model, so later runs use the same format.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from forethought.models.decoder.linear import Linear
from forethought.models.decoder.quantise import machine
from forethought.models.hardware.threads import is_crowded, most_threads

NAME = "calibration.json"
_REPEATS = 5
_PRODUCTS = 2
"""Raised when products take another time, so that older measurements do not count."""
_SAMPLE = 6  # layers that are measured
_BLOCK = 512  # prompt tokens of one product
_MOST_ROWS = 64  # more decode alike
PARTS = ("qkv", "out", "gate_up", "down")
"""A layer's linear products; with the head, five shapes are measured."""

Build = Callable[[str], Callable[[str], Linear]]
"""From a format to its linears by name."""


@dataclass(frozen=True)
class CalibratedFormat:
    """The fastest format, and the measured seconds of all."""

    format: str
    seconds: Mapping[str, float] = field(default_factory=dict)


def decode_format(
    folder: Path,
    build: Build,
    formats: Sequence[str],
    layers: Sequence[Sequence[str]],
    rows: int = 1,
) -> CalibratedFormat:
    """The format whose five products of `rows` tokens are fastest on this machine.

    `build` makes the linears of a format; `layers` names the products of each layer. Formats that
    differ only after a "+" differ in the head alone. A choice stored in `folder` is reused. Rows
    are rounded up to a power of two, at most 64.
    """
    if len(formats) == 1:
        return CalibratedFormat(formats[0])
    measured = min(1 << (rows - 1).bit_length(), _MOST_ROWS)
    return _stored(
        folder,
        formats,
        lambda: _seconds({name: build(name) for name in formats}, layers, measured),
        "" if measured == 1 else f", {measured} rows",
    )


def prefill_format(folder: Path, build: Build, names: Sequence[str]) -> str:
    """ "w8a8" if that multiplies a block of prompt tokens faster than bf16, else "bf16".

    `names` are the products of one layer.
    """
    formats = ("bf16", "w8a8")

    def seconds() -> dict[str, float]:
        linears = {name: build(name) for name in formats}
        products = {f: [linear(name) for name in names] for f, linear in linears.items()}
        with torch.inference_mode():
            rounds = [
                {f: _time(some, _BLOCK, "prefill") for f, some in products.items()}
                for _ in range(_REPEATS)
            ]
        return {f: min(one[f] for one in rounds) for f in formats}

    return _stored(folder, formats, seconds).format


def _stored(
    folder: Path,
    formats: Sequence[str],
    measure: Callable[[], Mapping[str, float]],
    beside: str = "",
) -> CalibratedFormat:
    """The fastest of these formats on this machine: as stored in `folder`, or as measured."""
    threads = f"{most_threads()} threads{beside}"
    here = f"{' or '.join(formats)}, products {_PRODUCTS}: {machine()}, {threads}"
    file = folder / NAME
    known = _read(file)
    if (found := _calibrated(known.get(here), formats)) is not None:
        return found
    wall, processor = time.perf_counter(), time.thread_time()
    seconds = measure()
    best = CalibratedFormat(min(seconds, key=seconds.__getitem__), seconds)
    if is_crowded(time.perf_counter() - wall, time.thread_time() - processor):
        return best  # other processes disturbed the measurement: the next run measures again
    with suppress(OSError):  # a folder without write access: the next run measures again
        fresh = folder / f".{NAME}"
        held = {"format": best.format, "seconds": dict(seconds)}
        fresh.write_text(json.dumps({**known, here: held}, indent=1), "utf-8")
        fresh.replace(file)
    return best


def _calibrated(held: Any, formats: Sequence[str]) -> CalibratedFormat | None:
    """A stored choice among these formats."""
    if not isinstance(held, dict) or held.get("format") not in formats:
        return None
    seconds = held.get("seconds", {})
    numbers = isinstance(seconds, dict) and all(isinstance(n, float) for n in seconds.values())
    return CalibratedFormat(held["format"], seconds if numbers else {})


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _seconds(
    linears: Mapping[str, Callable[[str], Linear]], layers: Sequence[Sequence[str]], count: int
) -> dict[str, float]:
    """Seconds of the products of `count` tokens: all layers, as a sample implies, and the head.

    The products alternate between several layers, so weights come from memory as in a model.
    Formats alternate too and share the times of common layers, which limits the effect of noise.
    """
    sample = [name for names in layers[:_SAMPLE] for name in names]
    products = {_of_layers(f): [linear(name) for name in sample] for f, linear in linears.items()}
    heads = {f: [linear("head")] for f, linear in linears.items()}
    with torch.inference_mode():
        rounds = [
            (
                {f: _time(p, count) for f, p in products.items()},
                {f: _time(h, count) for f, h in heads.items()},
            )
            for _ in range(_REPEATS)
        ]
    share = len(layers) / len(layers[:_SAMPLE])
    return {
        f: share * min(first[_of_layers(f)] for first, _ in rounds)
        + min(last[f] for _, last in rounds)
        for f in linears
    }


def _of_layers(name: str) -> str:
    return name.partition("+")[0]


def _time(products: list[Linear], rows: int, phase: str = "decode") -> float:
    inputs = [torch.ones(rows, product.inputs, dtype=torch.bfloat16) for product in products]
    start = time.perf_counter()
    for product, x in zip(products, inputs, strict=True):
        product(x, phase)
    return time.perf_counter() - start

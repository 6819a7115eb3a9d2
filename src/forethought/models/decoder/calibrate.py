"""Finds the fastest weight formats for decoding and for scoring, once per model and machine.

Speeds depend on the kernels: 4-bit products are four times as fast as bf16 on a CPU with AVX-512,
and slower without it. The choice is stored beside the model, so later runs use the same format.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import torch

from forethought.models.decoder.linear import Linear
from forethought.models.decoder.quantise import machine
from forethought.models.hardware.threads import is_crowded, most_threads

NAME = "calibration.json"
_REPEATS = 5
_SAMPLE = 6  # layers that are measured
_BLOCK = 512  # prompt tokens of one product
PARTS = ("qkv", "out", "gate_up", "down")
"""A layer's linear products; with the head, five shapes are measured."""

Build = Callable[[str], Callable[[str], Linear]]
"""From a format to its linears by name."""


def decode_format(
    folder: Path, build: Build, formats: Sequence[str], layers: Sequence[Sequence[str]]
) -> str:
    """The format whose five products of one token are fastest on this machine.

    `build` makes the linears of a format; `layers` names the products of each layer. Formats that
    differ only after a "+" differ in the head alone. A choice stored in `folder` is reused.
    """
    if len(formats) == 1:
        return formats[0]
    return _stored(
        folder,
        formats,
        lambda: _seconds({name: build(name) for name in formats}, layers),
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

    return _stored(folder, formats, seconds)


def _stored(
    folder: Path, formats: Sequence[str], measure: Callable[[], Mapping[str, float]]
) -> str:
    """The fastest of these formats on this machine: as stored in `folder`, or as measured."""
    here = f"{' or '.join(formats)}: {machine()}, {most_threads()} threads"
    file = folder / NAME
    known = _read(file)
    if known.get(here) in formats:
        return known[here]
    wall, processor = time.perf_counter(), time.thread_time()
    seconds = measure()
    best = min(seconds, key=seconds.__getitem__)
    if is_crowded(time.perf_counter() - wall, time.thread_time() - processor):
        return best  # other processes disturbed the measurement: the next run measures again
    with suppress(OSError):  # a folder without write access: the next run measures again
        fresh = folder / f".{NAME}"
        fresh.write_text(json.dumps({**known, here: best}, indent=1), "utf-8")
        fresh.replace(file)
    return best


def _read(file: Path) -> dict[str, str]:
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _seconds(
    linears: Mapping[str, Callable[[str], Linear]], layers: Sequence[Sequence[str]]
) -> dict[str, float]:
    """Seconds of one token's products: all layers, extrapolated from a sample, and the head.

    The products alternate between several layers, so weights come from memory as in a model.
    Formats alternate too and share the times of common layers, which limits the effect of noise.
    """
    sample = [name for names in layers[:_SAMPLE] for name in names]
    products = {_of_layers(f): [linear(name) for name in sample] for f, linear in linears.items()}
    heads = {f: [linear("head")] for f, linear in linears.items()}
    with torch.inference_mode():
        rounds = [
            ({f: _time(p) for f, p in products.items()}, {f: _time(h) for f, h in heads.items()})
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


def _time(products: list[Linear], rows: int = 1, phase: str = "decode") -> float:
    inputs = [torch.ones(rows, product.inputs, dtype=torch.bfloat16) for product in products]
    start = time.perf_counter()
    for product, x in zip(products, inputs, strict=True):
        product(x, phase)
    return time.perf_counter() - start

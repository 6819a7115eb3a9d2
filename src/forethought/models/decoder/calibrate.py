"""Finds the fastest faithful format to decode with, once for a model and machine.

Every machine has other kernels: 4-bit products are four times as fast as bf16 ones on a CPU
with AVX-512, and slower on one without. The choice is kept beside the model, so that the
same recipe runs alike tomorrow.
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
_SAMPLE = 6  # layers
PARTS = ("qkv", "out", "gate_up", "down")
"""A layer's products; with the head, the five shapes that are measured."""

Build = Callable[[str], Callable[[str], Linear]]
"""From a format to its linears by name."""


def decode_format(
    folder: Path, build: Build, formats: Sequence[str], layers: Sequence[Sequence[str]]
) -> str:
    """The one of `formats` whose five products of one token are fastest on this machine.

    `build` makes the linears of a format, `layers` names the products of each layer; formats
    that differ after a "+" differ in the head alone. The winner is read from `folder` where
    this machine has measured before.
    """
    here = f"{' or '.join(formats)}: {machine()}, {most_threads()} threads"
    file = folder / NAME
    known = _read(file)
    if known.get(here) in formats:
        return known[here]
    wall, processor = time.perf_counter(), time.thread_time()
    seconds = _seconds({name: build(name) for name in formats}, layers)
    best = min(seconds, key=seconds.__getitem__)
    if is_crowded(time.perf_counter() - wall, time.thread_time() - processor):
        return best  # measured beside other processes: the next run measures again
    with suppress(OSError):  # where the folder cannot be written, likewise
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
    """Seconds of one token's products: all layers, taken to be like some of them, and the head.

    Several layers take turns, as they do in a model: weights must come from memory. Formats
    take turns too, and share the time of layers they share, so that noise decides nothing.
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


def _time(products: list[Linear]) -> float:
    inputs = [torch.ones(1, product.inputs, dtype=torch.bfloat16) for product in products]
    start = time.perf_counter()
    for product, x in zip(products, inputs, strict=True):
        product(x, "decode")
    return time.perf_counter() - start

"""Finds the fastest faithful format to decode with, once for a model and machine.

Every machine has other kernels: 4-bit products are four times as fast as bf16 ones on a CPU
with AVX-512, and slower on one without. The choice is kept beside the model, so that the
same recipe runs alike tomorrow.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from forethought.models.linear import Linear
from forethought.models.quantise import machine

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

    `build` makes the linears of a format, `layers` names the products of each layer. The winner
    is read from `folder` where this machine has measured before.
    """
    here = f"{' or '.join(formats)}: {machine()}, {torch.get_num_threads()} threads"
    file = folder / NAME
    known = _read(file)
    if known.get(here) in formats:
        return known[here]
    seconds = {name: _seconds(build(name), layers) for name in formats}
    best = min(seconds, key=seconds.__getitem__)
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


def _seconds(linear: Callable[[str], Linear], layers: Sequence[Sequence[str]]) -> float:
    """Seconds of one token's products: all layers, taken to be like some of them, and the head.

    Several layers take turns, as they do in a model: weights must come from memory.
    """
    sample = layers[:_SAMPLE]
    products, head = [linear(name) for names in sample for name in names], [linear("head")]
    with torch.inference_mode():
        rounds = [(_time(products), _time(head)) for _ in range(_REPEATS)]
    of_layers = min(layer for layer, _ in rounds)
    of_head = min(last for _, last in rounds)
    return of_layers * len(layers) / len(sample) + of_head


def _time(products: list[Linear]) -> float:
    inputs = [torch.ones(1, product.inputs, dtype=torch.bfloat16) for product in products]
    start = time.perf_counter()
    for product, x in zip(products, inputs, strict=True):
        product(x, "decode")
    return time.perf_counter() - start

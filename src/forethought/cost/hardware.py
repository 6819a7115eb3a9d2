"""Hardware: memory bandwidth, peak FLOP/s and memory of accelerators and processors.

Rates are the dense ones of data sheets, without structured sparsity. A file of the user's, and the
probe of this machine, add entries with the same fields.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

from forethought.contracts.errors import BadDataError, UnknownNameError

HERE = "here"
"""The name of this machine."""


@dataclass(frozen=True)
class Measured:
    """Rates of this engine on this machine, from the probe."""

    product_flops: float
    """FLOP/s of products in prefill."""
    activation_bandwidth: float
    """Bytes of activations a second in prefill, besides the products: norms, rotations, sums."""
    attention_flops: float
    """FLOP/s of attention in prefill, softmax included."""
    decode_bandwidth: Mapping[str, float]
    """Bytes of weights a second in decode, by weight format."""
    cache_bandwidth: float
    """Bytes of keys and values a second in decode."""
    layer_seconds: float
    """Seconds of a layer in a decode step besides its bytes."""
    pass_seconds: float
    """Seconds of a pass besides its layers."""
    threads: int = 1


@dataclass(frozen=True)
class Hardware:
    """One accelerator or processor."""

    name: str
    title: str
    bandwidth: float
    """Bytes a second between memory and chip."""
    peak: float
    """Products of 16-bit numbers, FLOP/s."""
    peak8: float
    """Products of 8-bit numbers, FLOP/s."""
    memory: float
    """Bytes of memory for weights and caches."""
    watts: float = 0.0
    """Power at full load; 0 if unknown."""
    source: str = ""
    date: str = ""
    """When the source was read."""
    measured: Measured | None = None
    """Rates of the engine itself; None predicts the bound of the data sheet."""

    def rate(self, eight_bit: bool) -> float:
        """FLOP/s of products."""
        return self.peak8 if eight_bit else self.peak

    def turning_point(self, eight_bit: bool = False) -> float:
        """FLOPs per byte above which products are compute-bound."""
        return self.rate(eight_bit) / self.bandwidth

    def document(self) -> dict[str, Any]:
        """The record as plain JSON values."""
        return asdict(self)


_DATE = "2026-11-30"


def _gpu(
    name: str, title: str, bandwidth: float, peak: float, peak8: float, memory: float, watts: float
) -> Hardware:
    """An entry in GB/s, TFLOP/s and GB."""
    return Hardware(
        name,
        title,
        bandwidth * 1e9,
        peak * 1e12,
        peak8 * 1e12,
        memory * 1e9,
        watts,
        source="vendor's data sheet, dense rates",
        date=_DATE,
    )


def _cpu(name: str, title: str, figures: tuple[float, ...], source: str) -> Hardware:
    bandwidth, peak, peak8, memory, watts = figures
    found = _gpu(name, title, bandwidth, peak, peak8, memory, watts)
    return Hardware(**{**_plain(found), "source": source})


def _plain(one: Hardware) -> dict[str, Any]:
    return {field.name: getattr(one, field.name) for field in fields(one)}


_APPLE = (
    "bandwidth: Apple's specification; FLOP/s: GPU cores x 128 lanes x 2 x 1.38 GHz, which "
    "Apple does not state"
)
_ENTRIES = (
    _gpu("a100", "NVIDIA A100 SXM 80 GB", 2039, 312, 624, 80, 400),
    _gpu("a100-40gb", "NVIDIA A100 SXM 40 GB", 1555, 312, 624, 40, 400),
    _gpu("a6000", "NVIDIA RTX A6000", 768, 154.8, 309.7, 48, 300),
    _gpu("b200", "NVIDIA B200 SXM", 8000, 2250, 4500, 180, 1000),
    _gpu("h100", "NVIDIA H100 SXM", 3350, 989.5, 1979, 80, 700),
    _gpu("h100-pcie", "NVIDIA H100 PCIe", 2000, 756.5, 1513, 80, 350),
    _gpu("h200", "NVIDIA H200 SXM", 4800, 989.5, 1979, 141, 700),
    _gpu("l4", "NVIDIA L4", 300, 121, 242, 24, 72),
    _gpu("l40s", "NVIDIA L40S", 864, 362, 733, 48, 350),
    _gpu("mi300x", "AMD Instinct MI300X", 5300, 1307.4, 2614.9, 192, 750),
    _gpu("rtx-3090", "NVIDIA GeForce RTX 3090", 936, 71, 284, 24, 350),
    _gpu("rtx-4090", "NVIDIA GeForce RTX 4090", 1008, 165.2, 660.6, 24, 450),
    _gpu("t4", "NVIDIA T4", 320, 65, 130, 16, 70),
    _gpu("v100", "NVIDIA V100 SXM 32 GB", 900, 125, 62, 32, 300),
    _cpu("m3", "Apple M3, 10 GPU cores", (100, 3.53, 3.53, 16, 25), _APPLE),
    _cpu("m3-max", "Apple M3 Max, 40 GPU cores", (400, 14.1, 14.1, 96, 80), _APPLE),
    _cpu(
        "epyc-9654",
        "AMD EPYC 9654, 96 cores of Zen 4",
        (460.8, 14.7, 29.5, 768, 360),
        "bandwidth: 12 channels of DDR5-4800; FLOP/s: cores x 64 in bf16 x 2.4 GHz",
    ),
    _cpu(
        "epyc-9755",
        "AMD EPYC 9755, 128 cores of Zen 5",
        (576, 44.2, 88.5, 768, 500),
        "bandwidth: 12 channels of DDR5-6000; FLOP/s: cores x 128 in bf16 x 2.7 GHz",
    ),
    _cpu(
        "i9-13900k",
        "Intel Core i9-13900K",
        (89.6, 1.38, 1.38, 64, 253),
        "LLM-Viewer's table, arXiv:2402.16363",
    ),
)
TABLE = {one.name: one for one in _ENTRIES}
"""Known hardware by name."""


def hardware(name: str, own: Mapping[str, Hardware] = {}) -> Hardware:
    """The hardware called `name`, of the user's or of the table."""
    known = {**TABLE, **own}
    key = name.strip().lower().replace("_", "-").replace(" ", "-")
    if key not in known:
        raise UnknownNameError.among("hardware", name, [*known, HERE])
    return known[key]


def read_hardware(path: Path) -> Hardware:
    """The hardware that a JSON file describes, such as the stored probe of this machine."""
    try:
        held = json.loads(path.read_text("utf-8"))
        measured = _checked(held, Hardware).pop("measured", None)
        rates = Measured(**_checked(measured, Measured)) if measured else None
        found = Hardware(**held, measured=rates)
        numbers = (found.bandwidth, found.peak, found.peak8, found.memory)
        if not all(0 < number < 1e30 for number in numbers):
            raise ValueError("a rate is not above 0")
    except (OSError, ValueError, TypeError) as error:
        raise BadDataError(
            f"{path} does not describe hardware: {error}",
            "state name, title, bandwidth, peak, peak8 and memory, in bytes and FLOP/s",
        ) from error
    return found


def _checked(held: Any, kind: type[Hardware | Measured]) -> dict[str, Any]:
    """The object, if it has all fields of `kind` without a default and no others."""
    if not isinstance(held, dict):
        raise ValueError("it is not a JSON object")
    required = [one.name for one in fields(kind) if one.default is one.default_factory is MISSING]
    if lacking := [name for name in required if name not in held]:
        raise ValueError(f"it lacks {', '.join(lacking)}")
    known = [one.name for one in fields(kind)]
    if unknown := [name for name in held if name not in known]:
        raise ValueError(f"{unknown[0]!r} is no field of it")
    return held

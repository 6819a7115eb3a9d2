"""This machine: its name in stored timings, and its rates in predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from forethought.contracts.errors import ForethoughtError
from forethought.cost.hardware import HERE, TABLE, Hardware, read_hardware
from forethought.models.hardware.threads import most_threads
from forethought.storage.location import probe_file
from forethought.storage.provenance import provenance

_THREAD = 8e9, 1e11
"""Bytes and FLOP/s of one thread of a processor that nobody measured; only ratios count."""


@dataclass(frozen=True)
class ThisMachine:
    """The machine that a run uses."""

    name: str
    """Equal for runs whose times can be compared."""
    hardware: Hardware
    rates: str
    """The source of the rates, for users."""

    @property
    def known(self) -> bool:
        """Whether the rates are those of this machine, not assumed ones."""
        return self.hardware.title != _ASSUMED


_ASSUMED = "an assumed processor"


def this_machine(device: torch.device) -> ThisMachine:
    """The machine behind a device: as probed, else of the table, else assumed."""
    name = machine_name(provenance(str(device)))
    if device.type == "cuda":
        return _accelerator(name, torch.cuda.get_device_name(device))
    file = probe_file()
    if file.is_file():
        try:
            return ThisMachine(name, read_hardware(file), "the stored probe of this machine")
        except ForethoughtError:  # a damaged probe must not lose an answer
            pass
    bandwidth, peak = (most_threads() * one for one in _THREAD)
    assumed = Hardware(HERE, _ASSUMED, bandwidth, peak, peak, memory=1.0)
    rates = "assumed rates; forethought cost --on here --probe measures them"
    return ThisMachine(name, assumed, rates)


def machine_name(made: Mapping[str, str]) -> str:
    """The name of the machine with this provenance."""
    processor, device = made.get("processor", ""), made.get("device", "cpu")
    counts = f"{made.get('cores', '?')} cores, {made.get('threads', '?')} threads"
    return f"{processor}, {counts}, {device}"


def _accelerator(name: str, title: str) -> ThisMachine:
    words = f"-{title.lower().replace(' ', '-')}-"
    found = max((key for key in TABLE if f"-{key}-" in words), key=len, default="")
    if found:
        return ThisMachine(name, TABLE[found], f"the data sheet of {TABLE[found].title}")
    held = TABLE["a100"]
    assumed = Hardware(HERE, _ASSUMED, held.bandwidth, held.peak, held.peak8, held.memory)
    return ThisMachine(name, assumed, f"assumed rates, as {title} is not in the table")

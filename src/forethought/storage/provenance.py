"""Provenance of a sample: library versions and the machine."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import torch

from forethought.models.hardware.threads import most_threads

_LIBRARIES = ("forethought", "torch", "numpy", "tokenizers")
_PROCESSORS = Path("/proc/cpuinfo")  # Linux only; other systems use `platform`


def provenance(device: str | None = None) -> dict[str, str]:
    """Versions and hardware of a run on `device`, a name of torch.

    Without a name it is the device that models load on. It holds no time, so runs on one machine
    have equal provenance.
    """
    return {
        **{name: version(name) for name in _LIBRARIES},
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": str(os.cpu_count() or 1),
        "threads": str(most_threads()),
        "device": _device(device or ("cuda" if torch.cuda.is_available() else "cpu")),
    }


def _device(device: str) -> str:
    if not device.startswith("cuda"):
        return device
    return f"cuda: {torch.cuda.get_device_name(device)}"


def _processor() -> str:
    try:
        lines = _PROCESSORS.read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())

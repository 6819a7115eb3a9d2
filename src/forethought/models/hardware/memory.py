"""Memory of a device that is free for KV caches, and memory that goes back to the system."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import torch

_SHARE = 0.5  # the rest is for activations, other processes and what the estimate leaves out
_MEMORY = Path("/proc/meminfo")


def cache_room(device: torch.device) -> int | None:
    """Bytes that caches may hold together: half of the free memory; None where nobody tells."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free * _SHARE)
    return _available(_MEMORY)


def _available(file: Path) -> int | None:
    """Half of the memory that Linux says is available."""
    try:
        lines = file.read_text("utf-8").splitlines()
    except OSError:
        return None
    kibibytes = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(int(kibibytes[0]) * 1024 * _SHARE) if kibibytes else None


def trim_memory() -> None:
    """Return unused memory of the C library's allocator to the system, where it is GNU's.

    That allocator keeps freed blocks for reuse: after a burst of requests, hundreds of megabytes.
    """
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)

"""Environment settings of torch's native libraries, made before those libraries start.

An OpenMP thread spins before it sleeps. GNU's library spins for milliseconds and holds a core that
another process needs; Intel's and LLVM's libraries yield, so their defaults stay. torch and oneDNN
cache a compiled kernel per shape, so memory grows with every new prompt length.

Variables that the user has set stay unchanged.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path

_SPINS = "2000"
"""Iterations of GNU's spin loop, some microseconds: sleeping that briefly would cost more."""
_SHAPES = "96"
"""Kernels per cache, about 0.7 MB each; a prompt of 11,000 tokens uses as many."""
_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")
_THREADS = ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT")
_SYSTEM = Path("/")


def settle(environment: MutableMapping[str, str]) -> None:
    """Apply all settings; libraries that have already started ignore them."""
    if not any(name in environment for name in _WAITING):
        environment["GOMP_SPINCOUNT"] = _SPINS
    cores = allowed_cores()
    if cores < present_cores() and not any(name in environment for name in _THREADS):
        environment["OMP_NUM_THREADS"] = str(cores)
    bound_caches(environment)


def bound_caches(environment: MutableMapping[str, str]) -> None:
    """Limit the kernel caches of torch and oneDNN; call it before the first kernel."""
    environment.setdefault("LRU_CACHE_CAPACITY", _SHAPES)
    environment.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", _SHAPES)


def present_cores() -> int:
    """Cores in this process's affinity mask."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def allowed_cores(system: Path = _SYSTEM) -> int:
    """Cores that this process may use: those present, or fewer under a cgroup quota.

    A container's quota limits time, not cores. With a quota of two cores on 64, 64 threads exhaust
    it early in each period and stall for the rest.
    """
    quotas = [math.ceil(quota) for quota in _quotas(system) if quota > 0]
    return min([present_cores(), *quotas])


def _quotas(system: Path) -> Iterator[float]:
    """Quotas, in cores, of this process's control groups and their parents."""
    for line in _text(system / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if not controllers:
            yield from _along(system / "sys/fs/cgroup", group, _unified)
            yield from _along(system / "sys/fs/cgroup/unified", group, _unified)
        elif "cpu" in controllers.split(","):
            for mount in dict.fromkeys((controllers, "cpu")):
                yield from _along(system / "sys/fs/cgroup" / mount, group, _legacy)


def _along(mount: Path, group: str, read: Callable[[Path], float]) -> Iterator[float]:
    """Values of a group and all of its parents; inside a container, the mount is the group."""
    inside = [part for part in group.split("/") if part not in ("", "..")]
    for depth in range(len(inside) + 1):
        yield read(mount.joinpath(*inside[:depth]))


def _unified(folder: Path) -> float:
    quota, _, period = _text(folder / "cpu.max").partition(" ")
    return _ratio(quota, period)


def _legacy(folder: Path) -> float:
    return _ratio(_text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us"))


def _ratio(quota: str, period: str) -> float:
    """A quota in cores; 0 for no limit."""
    try:
        return max(0.0, int(quota) / int(period))
    except (ValueError, ZeroDivisionError):
        return 0.0


def _text(file: Path) -> str:
    try:
        return file.read_text("ascii", "replace").strip()
    except OSError:
        return ""

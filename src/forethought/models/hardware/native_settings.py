"""Settings of the native libraries under torch that must stand before those libraries start.

A thread of OpenMP that waits for the others spins before it sleeps. GNU's library spins for
milliseconds, and a spinning thread holds the core that another process needs. Intel's and LLVM's
libraries yield while they spin, and keep their own settings. torch and oneDNN keep a compiled
kernel for each shape, so that every new prompt length takes memory.

A variable that the user has set stays as it is.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path

_SPINS = "2000"
"""Turns of GNU's waiting loop, some microseconds: a sleep that short would cost more."""
_SHAPES = "96"
"""Kernels kept in each cache, about 0.7 MB each; a prompt of 11,000 tokens uses as many."""
_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")
_THREADS = ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT")
_SYSTEM = Path("/")


def settle(environment: MutableMapping[str, str]) -> None:
    """Make all settings; they hold for libraries that have not started yet."""
    if not any(name in environment for name in _WAITING):
        environment["GOMP_SPINCOUNT"] = _SPINS
    cores = allowed_cores()
    if cores < present_cores() and not any(name in environment for name in _THREADS):
        environment["OMP_NUM_THREADS"] = str(cores)
    bound_caches(environment)


def bound_caches(environment: MutableMapping[str, str]) -> None:
    """Limit the kernels that torch and oneDNN keep; it holds until the first of them is made."""
    environment.setdefault("LRU_CACHE_CAPACITY", _SHAPES)
    environment.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", _SHAPES)


def present_cores() -> int:
    """The cores that this process may be scheduled on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def allowed_cores(system: Path = _SYSTEM) -> int:
    """The cores whose time this process may use: those present, or fewer under a quota.

    A container's quota is time, not cores: with two cores' worth of time on 64 cores, 64 threads
    would use it up in the first part of each period and be stopped for the rest.
    """
    quotas = [math.ceil(quota) for quota in _quotas(system) if quota > 0]
    return min([present_cores(), *quotas])


def _quotas(system: Path) -> Iterator[float]:
    """Cores' worth of time that each control group above this process allows."""
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
    """What holds for the group and all above it; inside a container the mount is the group."""
    inside = [part for part in group.split("/") if part not in ("", "..")]
    for depth in range(len(inside) + 1):
        yield read(mount.joinpath(*inside[:depth]))


def _unified(folder: Path) -> float:
    quota, _, period = _text(folder / "cpu.max").partition(" ")
    return _ratio(quota, period)


def _legacy(folder: Path) -> float:
    return _ratio(_text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us"))


def _ratio(quota: str, period: str) -> float:
    """Cores' worth of time; 0 where there is no limit."""
    try:
        return max(0.0, int(quota) / int(period))
    except (ValueError, ZeroDivisionError):
        return 0.0


def _text(file: Path) -> str:
    try:
        return file.read_text("ascii", "replace").strip()
    except OSError:
        return ""

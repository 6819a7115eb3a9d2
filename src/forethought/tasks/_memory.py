"""Memory limits of a process tree, by a control group or by polling."""

from __future__ import annotations

import mmap
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

_PAGE = mmap.PAGESIZE
_NAME = "forethought-"
_LIMITS = {
    "memory.limit_in_bytes": None,
    "memory.memsw.limit_in_bytes": None,
    "memory.max": None,
    "memory.swap.max": 0,
}
"""Limit files of control groups v1 and v2, with their value; None is the limit itself."""


class MemoryBound(Protocol):
    """A memory limit on the processes of a sandbox."""

    @property
    def stands(self) -> bool:
        """Whether the limit is in force."""
        ...

    def start(self, process: int) -> None:
        """Limit this process and its descendants."""
        ...

    def exceeded(self) -> bool:
        """Whether the processes exceed the limit and must be killed."""
        ...


@contextmanager
def bound(most: int) -> Iterator[MemoryBound]:
    """A memory limit for one process tree.

    The kernel enforces it through a control group if this user may create one; otherwise the
    processes' memory is polled.
    """
    group = _new_group(most)
    try:
        yield _ControlGroup(group, most) if group else _PolledMemory(most)
    finally:
        if group:
            _remove(group)


class _PolledMemory:
    """A limit by polling the memory of the processes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._process = 0

    @property
    def stands(self) -> bool:
        """Whether /proc shows the children and memory of processes."""
        return Path(f"/proc/self/task/{os.getpid()}/children").exists()

    def start(self, process: int) -> None:
        self._process = process

    def exceeded(self) -> bool:
        """Compare resident memory first; the slower proportional memory only above the limit."""
        found = list(_tree(self._process))
        return (
            sum(map(_resident, found)) > self._most and sum(map(_proportional, found)) > self._most
        )


class _ControlGroup:
    """A limit by control group, with polling as fallback."""

    def __init__(self, group: Path, most: int) -> None:
        self._group = group
        self._watched = _PolledMemory(most)
        self._holds = False

    @property
    def stands(self) -> bool:
        return self._holds or self._watched.stands

    def start(self, process: int) -> None:
        self._watched.start(process)
        with suppress(OSError):
            (self._group / "cgroup.procs").write_text(str(process))
            self._holds = True

    def exceeded(self) -> bool:
        return not self._holds and self._watched.exceeded()


def _tree(process: int) -> Iterator[int]:
    """A process and its running descendants."""
    yield process
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{process}/task"):
            children = Path(f"/proc/{process}/task/{thread}/children").read_text()
            for child in children.split():
                yield from _tree(int(child))


def _resident(process: int) -> int:
    with suppress(OSError, IndexError):
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE
    return 0


def _proportional(process: int) -> int:
    """Proportional set size in bytes; resident size if that is not readable."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return _resident(process)
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))


def _new_group(most: int) -> Path | None:
    """Create a control group with this limit; None without permission."""
    for parent in _parents():
        group = parent / f"{_NAME}{os.getpid()}-{secrets.token_hex(4)}"
        try:
            group.mkdir()
        except OSError:
            continue
        if _limited(group, most):
            return group
        _remove(group)
    return None


def _parents() -> Iterator[Path]:
    """Candidate parent control groups, from this process's own upwards."""
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if "memory" in controllers.split(","):
                yield Path("/sys/fs/cgroup/memory" + path)
            elif not controllers:
                own = Path("/sys/fs/cgroup" + path)
                yield from (one for one in (own, *own.parents) if _delegates(one))


def _delegates(group: Path) -> bool:
    with suppress(OSError):
        return "memory" in (group / "cgroup.subtree_control").read_text().split()
    return False


def _limited(group: Path, most: int) -> bool:
    held = False
    for name, value in _LIMITS.items():
        file = group / name
        with suppress(OSError):
            if file.exists():
                file.write_text(str(most if value is None else value))
                held = True
    return held


def _remove(group: Path) -> None:
    """Remove a control group without processes."""
    with suppress(OSError):
        group.rmdir()

"""The memory of a whole process tree, bounded by a control group or watched from outside."""

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
"""The files that bound memory in either version of control groups; None is the limit itself."""


class MemoryBound(Protocol):
    """What keeps the processes of a sandbox to their memory."""

    @property
    def stands(self) -> bool:
        """Whether memory is bounded at all."""
        ...

    def start(self, process: int) -> None:
        """Bound this process and all that it starts."""
        ...

    def exceeded(self) -> bool:
        """Whether the processes hold more than they may, and have to be ended."""
        ...


@contextmanager
def bound(most: int) -> Iterator[MemoryBound]:
    """Something that bounds the memory of the tree of one process.

    A control group where this user may make one, since the kernel then lets no byte more be taken;
    else the processes are counted again and again.
    """
    group = _new_group(most)
    try:
        yield _Grouped(group, most) if group else _Watched(most)
    finally:
        if group:
            _remove(group)


class _Watched:
    """Counts what the processes hold."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._process = 0

    @property
    def stands(self) -> bool:
        """Whether the system tells of the children and the memory of processes."""
        return Path(f"/proc/self/task/{os.getpid()}/children").exists()

    def start(self, process: int) -> None:
        self._process = process

    def exceeded(self) -> bool:
        """By the shares of pages that several processes hold; only counted once that matters."""
        found = list(_tree(self._process))
        return (
            sum(map(_resident, found)) > self._most and sum(map(_proportional, found)) > self._most
        )


class _Grouped:
    """A control group that the processes are put into; watched where they cannot be."""

    def __init__(self, group: Path, most: int) -> None:
        self._group = group
        self._watched = _Watched(most)
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
    """A process and all its descendants, as far as they still run."""
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
    """Bytes with shared pages divided among their holders, where this user may know them."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return _resident(process)
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))


def _new_group(most: int) -> Path | None:
    """A new control group with this limit; None where there may be none."""
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
    """Control groups that could have a child, from this process's own one upwards."""
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
    """Remove a control group, once all of its processes are gone."""
    with suppress(OSError):
        group.rmdir()

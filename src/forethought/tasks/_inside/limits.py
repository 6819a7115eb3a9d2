"""Resource limits of processes, and termination of process trees."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from typing import Any

_KILL = 9


def restrict(limits: dict[str, Any]) -> None:
    """Limit processor time, memory and files of this process and its children."""
    seconds, memory = limits["cpu_seconds"], limits["memory_bytes"]
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    with suppress(ValueError):  # systems without a limit on address space
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits["file_bytes"],) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def forked(processes: int) -> int:
    """Fork under a process limit, with headroom for the user's other processes."""
    most = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    for others in (5, 1 << 9, 1 << 12, 1 << 15):
        allowed = processes + others
        if most != resource.RLIM_INFINITY:
            allowed = min(allowed, most)
        resource.setrlimit(resource.RLIMIT_NPROC, (allowed, most))
        try:
            return os.fork()
        except BlockingIOError:
            continue
    raise OSError("no process may be started")


def exit_code(child: int) -> int:
    """The child's exit code, or 128 plus its signal; orphans are reaped meanwhile."""
    while True:
        ended, status = os.wait()
        if ended == child:
            code = os.waitstatus_to_exitcode(status)
            return 128 - code if code < 0 else code


def kill_children() -> None:
    """Kill all children and adopted orphans, until none is left."""
    if os.getpid() == 1 or not os.path.isdir("/proc/self"):
        return  # a PID namespace ends with its first process
    while children := _children():
        for child in children:
            os.kill(child, _KILL)
        for child in children:
            os.waitpid(child, 0)


def _children() -> list[int]:
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == os.getpid():
            found.append(int(name))
    return found

"""Trials of the walls: escape attempts, made before the program starts."""

from __future__ import annotations

import _socket
import os
import resource
from collections.abc import Callable
from errno import (
    EACCES,
    EAFNOSUPPORT,
    ECONNREFUSED,
    EINVAL,
    ENETUNREACH,
    ENOENT,
    ENOSPC,
    ENOSYS,
    ENXIO,
    EPERM,
    ESRCH,
)
from typing import Any

from .kernel import NEW_USER, Kernel
from .syscalls import machine, number

_BIND, _REMOUNT, _DETACH, _HERE = 4096, 32, 2, -100
_ATTACH, _SESSION_KEYS, _SETUP_RING = 16, -3, 425
_UNUSED_PORT = 65534


def walls(kernel: Kernel | None, outside: str, process: int) -> list[str]:
    """The names of the walls that held.

    `outside` is a world-accessible folder with a world-writable file and a listening socket; an
    abstract socket of the same name listens too. `process` is the sandbox's parent.
    """
    if kernel is None or not machine():
        return []
    tried = {
        "files": _files(kernel, outside),
        "network": _network(outside),
        "processes": _processes(kernel, process),
        "privileges": _privileges(kernel),
        "terminal": _terminal(),
        "kernel": _kernel(kernel),
    }
    # Give back any privilege that a successful trial gained.
    kernel.drop_capabilities()
    return [name for name, held in tried.items() if held]


def _files(kernel: Kernel, outside: str) -> bool:
    bait, nothing = f"{outside}/file", (b"/", 0, bytes(32), 32)
    return (
        _held(lambda: os.open(bait, os.O_RDONLY), ENOENT)
        and _held(lambda: os.open(bait, os.O_WRONLY), ENOENT)
        and _held(lambda: os.utime(bait), ENOENT)
        and "file" not in _names(outside)
        and _held(lambda: kernel.mount("", "/", "", _BIND | _REMOUNT))
        and _held(lambda: kernel.unmount("/", _DETACH))
        and _held(lambda: kernel.call(number("mount_setattr"), _HERE, *nothing))
        and _held(lambda: kernel.named("pivot_root", b"/", b"/"))
    )


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _network(outside: str) -> bool:
    port = ("127.0.0.1", _UNUSED_PORT)
    return (
        _held(lambda: _connect(_socket.AF_INET, port), ENETUNREACH, EAFNOSUPPORT)
        and _held(lambda: _connect(_socket.AF_UNIX, f"{outside}/socket"), ENOENT)
        and _held(lambda: _connect(_socket.AF_UNIX, f"\0{outside}"), ECONNREFUSED)
    )


def _processes(kernel: Kernel, process: int) -> bool:
    return (
        _held(lambda: os.kill(process, 0), ESRCH)
        and _held(lambda: kernel.named("ptrace", _ATTACH, process, 0, 0), ESRCH)
        and _held(lambda: resource.prlimit(process, resource.RLIMIT_NOFILE), ESRCH)
        and _held(lambda: os.listdir(f"/proc/{process}"), ENOENT)
    )


def _privileges(kernel: Kernel) -> bool:
    return (
        not kernel.has_capabilities()
        and kernel.forbids_new_privileges()
        and _held(lambda: os.setuid(0), EINVAL)
        and _held(lambda: kernel.unshare(NEW_USER), ENOSPC)
    )


def _terminal() -> bool:
    return (
        not any(map(os.isatty, range(3)))
        and _held(lambda: os.open("/dev/tty", os.O_RDWR), ENOENT, ENXIO)
        and _held(lambda: os.listdir("/dev/pts"), ENOENT)
    )


def _kernel(kernel: Kernel) -> bool:
    return (
        _held(lambda: kernel.named("keyctl", 0, _SESSION_KEYS, 0))
        and _held(lambda: kernel.named("bpf", 0, 0, 0))
        and _held(lambda: kernel.named("perf_event_open", 0, 0, -1, -1, 0))
        and _held(lambda: kernel.named("memfd_create", b"x", 0))
        and _held(lambda: kernel.call(_SETUP_RING, 1, bytes(120)))
    )


def _held(attempt: Callable[[], object], *refusals: int) -> bool:
    """Whether an attempt fails with one of these errors or by permission."""
    try:
        attempt()
    except OSError as error:
        return error.errno in (EPERM, EACCES, ENOSYS, *refusals)
    return False


def _connect(family: int, address: Any) -> None:
    one = _socket.socket(family, _socket.SOCK_STREAM)
    try:
        one.connect(address)
    finally:
        one.close()

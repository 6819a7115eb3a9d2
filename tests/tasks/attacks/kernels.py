"""Kernels that lack something: calls fail for this process and its children as they do there."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable, Iterable

from forethought.tasks._inside.kernel import NEW_MOUNTS_IPC_NET, NEW_PIDS, NEW_USER, Kernel
from forethought.tasks._inside.syscalls import machine, number

_LOAD, _EQUAL, _RETURN, _ALLOW, _FAIL = 0x20, 0x15, 0x06, 0x7FFF0000, 0x00050000
_SET_FILTER = 22
_CONTROL = {"x86_64": 157, "aarch64": 167}
"""The number of prctl."""


def given() -> list[str]:
    """What this kernel gives to this user, tried in processes that end at once."""
    namespaces = NEW_MOUNTS_IPC_NET | NEW_PIDS | (NEW_USER if os.geteuid() else 0)
    tries = {
        "namespaces": lambda kernel: kernel.unshare(namespaces),
        "landlock": lambda kernel: kernel.call(number("landlock_create_ruleset"), None, 0, 1),
        "seccomp": lambda kernel: take_away([]),
    }
    return [name for name, attempt in tries.items() if _succeeds(attempt)]


def _succeeds(attempt: Callable[[Kernel], object]) -> bool:
    child = os.fork()
    if child == 0:
        try:
            attempt(Kernel())
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def take_away(things: Iterable[str]) -> None:
    """Let calls fail that need one of these: namespaces, landlock or seccomp."""
    refused = {
        "namespaces": _refused(number("unshare"), errno.EPERM),
        "landlock": _refused(number("landlock_create_ruleset"), errno.ENOSYS),
        "seccomp": _no_filters(),
    }
    body = b"".join(refused[one] for one in things)
    kernel = Kernel()
    kernel.forbid_new_privileges()
    kernel.filter_calls(_step(_LOAD, 0) + body + _step(_RETURN, _ALLOW))


def _refused(call: int, error: int) -> bytes:
    return _step(_EQUAL, call, 0, 1) + _step(_RETURN, _FAIL | error)


def _no_filters() -> bytes:
    return (
        _step(_EQUAL, _CONTROL[machine()], 0, 4)
        + _step(_LOAD, 16)
        + _step(_EQUAL, _SET_FILTER, 0, 1)
        + _step(_RETURN, _FAIL | errno.EINVAL)
        + _step(_RETURN, _ALLOW)
        + _refused(number("seccomp"), errno.ENOSYS)
    )


def _step(code: int, value: int, if_so: int = 0, if_not: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_so, if_not, value)

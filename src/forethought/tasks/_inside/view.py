"""Namespaces, and a file tree of Python's library and one small empty folder."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable

from .kernel import NEW_MOUNTS_IPC_NET, NEW_PIDS, NEW_USER, Kernel
from .syscalls import number

_READ_ONLY, _NO_SUID, _NO_DEVICES, _NO_PROGRAMS, _BIND, _RECURSIVE = 1, 2, 4, 8, 4096, 0x4000
_PRIVATE = 1 << 18
_DETACH = 2
_HERE, _WHOLE_TREE = -100, 0x8000
_HIDDEN = ("site-packages", "dist-packages")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


def separate(kernel: Kernel) -> bool:
    """Enter mount, network and PID namespaces; False if the system refuses.

    The PID namespace applies to children of this process, not to the process itself.
    """
    user, group = os.geteuid(), os.getegid()
    if user == 0 and _entered(kernel, NEW_MOUNTS_IPC_NET | NEW_PIDS):
        return True
    if not _entered(kernel, NEW_MOUNTS_IPC_NET | NEW_PIDS | NEW_USER):
        return False
    try:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{user} {user} 1")
        _write("/proc/self/gid_map", f"{group} {group} 1")
        _write("/proc/sys/user/max_user_namespaces", "0")
    except OSError:
        return True  # without the mapping mounts fail, which the trials detect
    return True


def replace_root(
    kernel: Kernel, readable: Iterable[str], base: str, work: str, work_bytes: int
) -> None:
    """Build the file tree on the folder `base`, and make it the root if permitted."""
    try:
        kernel.mount("", "/", "", _RECURSIVE | _PRIVATE)
        kernel.mount(
            "tmpfs", base, "tmpfs", _NO_SUID | _NO_DEVICES, "size=1m,nr_inodes=4096,mode=0755"
        )
        for path in (*readable, *DEVICES):
            _bind(kernel, path, base + path)
        os.makedirs(base + work, exist_ok=True)
        _protect(kernel, base)
        kernel.mount(
            "tmpfs",
            base + work,
            "tmpfs",
            _NO_SUID | _NO_DEVICES | _NO_PROGRAMS,
            f"size={work_bytes},nr_inodes=1024,mode=0700",
        )
        os.chdir(base)
        kernel.named("pivot_root", b".", b".")
        kernel.unmount(".", _DETACH)
    except OSError:
        return  # the old root stays, which the trials detect


def _entered(kernel: Kernel, flags: int) -> bool:
    try:
        kernel.unshare(flags)
    except OSError:
        return False
    return True


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def _bind(kernel: Kernel, source: str, at: str) -> None:
    """Bind a file or folder to a second path, and hide installed packages."""
    if os.path.isdir(source):
        os.makedirs(at, exist_ok=True)
    elif os.path.exists(source):
        os.makedirs(os.path.dirname(at), exist_ok=True)
        os.close(os.open(at, os.O_CREAT, 0o644))
    else:
        return
    kernel.mount(source, at, "", _BIND | _RECURSIVE)
    for name in _HIDDEN:
        if os.path.isdir(os.path.join(source, name)):
            kernel.mount("tmpfs", os.path.join(at, name), "tmpfs", _READ_ONLY, "size=4k")


def _protect(kernel: Kernel, base: str) -> None:
    """Make the whole tree read-only."""
    attributes = struct.pack("=QQQQ", _READ_ONLY | _NO_SUID, 0, 0, 0)
    at = (_HERE, base.encode(), _WHOLE_TREE, attributes, len(attributes))
    kernel.call(number("mount_setattr"), *at)

"""Dropping of privileges."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

from . import landlock, seccomp
from .kernel import Kernel

_FIRST_UNUSED = 60_000
SECOND = 2500
"""Offset from the program's user id to that of the tests."""
_LIBRARY = os.path.dirname(os.path.realpath(os.__file__))


def user_of(work: str) -> int:
    """The user id of programs, which becomes the owner of the folder `work`.

    Root is replaced by an unused user id, so that per-user limits apply and count this sandbox
    alone. Root stays if other users cannot read Python's library, since nothing would run.
    """
    if os.geteuid() != 0 or not _open_to_all(_LIBRARY):
        return os.geteuid()
    user = _FIRST_UNUSED + os.getpid() % SECOND
    try:
        os.chown(work, user, user)
    except OSError:
        return 0  # root of a container that maps no other user
    return user


def give_up(kernel: Kernel | None, user: int) -> None:
    """Drop all capabilities permanently, and switch from root to `user`."""
    if os.geteuid() == 0 and user != 0:
        with suppress(PermissionError):  # root of a container without other groups
            os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    if kernel:
        kernel.drop_capabilities()
        kernel.forbid_new_privileges()
        kernel.hide_memory(True)


def confine(kernel: Kernel, readable: Iterable[str], devices: Iterable[str], work: str) -> None:
    """Restrict files by Landlock and system calls by seccomp, if the kernel supports them.

    Both are a second layer; the trials detect if their absence opens a wall.
    """
    with suppress(OSError):
        landlock.restrict(kernel, readable, devices, work)
    with suppress(OSError):
        seccomp.install(kernel)


def _open_to_all(path: str) -> bool:
    """Whether everybody may read the folder and all of its parents."""
    parts = path.split("/")[1:]
    folders = ["/" + "/".join(parts[:end]) for end in range(1, len(parts) + 1)]
    return all(os.stat(folder).st_mode & 0o005 == 0o005 for folder in folders)

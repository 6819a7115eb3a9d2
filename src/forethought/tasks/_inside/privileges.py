"""Giving up all that a process could do beyond what any process may."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

from . import landlock, seccomp
from .kernel import Kernel

_STRANGERS = 60_000
SECOND = 2500
"""From the user of the program to that of the tests."""
_LIBRARY = os.path.dirname(os.path.realpath(os.__file__))


def user_of(work: str) -> int:
    """Whom programs run as, to whom the folder `work` is given.

    Instead of the administrator it is a user that nobody is, whom limits by user bind, and whose
    limits count this sandbox alone. The administrator stays where others cannot read Python's own
    library, since nothing would run.
    """
    if os.geteuid() != 0 or not _open_to_all(_LIBRARY):
        return os.geteuid()
    user = _STRANGERS + os.getpid() % SECOND
    try:
        os.chown(work, user, user)
    except OSError:
        return 0  # an administrator of a container, who may be nobody else
    return user


def give_up(kernel: Kernel | None, user: int) -> None:
    """Lose all capabilities for good, and become `user` if this is the administrator."""
    if os.geteuid() == 0 and user != 0:
        with suppress(PermissionError):  # where a container's administrator has no other groups
            os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    if kernel:
        kernel.drop_capabilities()
        kernel.forbid_new_privileges()
        kernel.hide_memory(True)


def confine(kernel: Kernel, readable: Iterable[str], devices: Iterable[str], work: str) -> None:
    """Restrict files by Landlock, and system calls by a filter, where the kernel has them.

    Both are a second layer, whose absence the trials tell where it matters.
    """
    with suppress(OSError):
        landlock.restrict(kernel, readable, devices, work)
    with suppress(OSError):
        seccomp.install(kernel)


def _open_to_all(path: str) -> bool:
    """Whether everybody may enter the folder and all that it lies in."""
    parts = path.split("/")[1:]
    folders = ["/" + "/".join(parts[:end]) for end in range(1, len(parts) + 1)]
    return all(os.stat(folder).st_mode & 0o005 == 0o005 for folder in folders)

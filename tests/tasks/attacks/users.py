"""Becoming another user, with Python where that user may read it."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from forethought.tasks._inside.kernel import Kernel


def become(user: int) -> None:
    """Become this user, with Python where that user may read it."""
    if os.geteuid() == user:
        return
    if closed := _first_closed(os.path.realpath(sys.executable)):
        try:
            _show_python(Kernel(), closed)
        except OSError as error:
            sys.exit(f"cannot be this user: {closed} is closed to all others ({error})")
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
    Kernel().hide_memory(False)  # as of a user who came by no other way


def _first_closed(path: str) -> str:
    """The topmost folder on the way to `path` that only its owner may enter."""
    folders = [str(one) for one in reversed(Path(path).parents)]
    return next((one for one in folders if os.stat(one).st_mode & 0o005 != 0o005), "")


def _show_python(kernel: Kernel, closed: str) -> None:
    """Hide a closed folder, for this process, behind one with nothing but Python in it."""
    kept = tempfile.mkdtemp()
    bind, private = 4096 | 0x4000, 0x4000 | 1 << 18
    kernel.unshare(0x00020000)
    kernel.mount("", "/", "", private)
    kernel.mount(sys.base_prefix, kept, "", bind)
    kernel.mount("tmpfs", closed, "tmpfs", 0, "mode=0755")
    os.makedirs(sys.base_prefix)
    kernel.mount(kept, sys.base_prefix, "", bind)
    kernel.unmount(kept, 0)
    os.rmdir(kept)

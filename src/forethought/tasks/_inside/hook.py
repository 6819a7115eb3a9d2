"""An audit hook for missing walls; it stops plain code, not an attacker."""

from __future__ import annotations

import os
import sys
from typing import Any

_FORBIDDEN = ("socket.", "subprocess.", "os.exec", "os.posix_spawn", "os.system", "ctypes.")
_CHANGES = frozenset(
    {
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.mkdir",
        "os.link",
        "os.symlink",
        "os.truncate",
        "os.chmod",
        "os.chown",
        "os.utime",
    }
)
_WATCHED = {"files", "network", "processes"}


def watch(directory: str, walls: list[str]) -> None:
    """Refuse the operations that missing walls would have blocked."""
    if set(walls) >= _WATCHED:
        return
    inside = os.path.realpath(directory) + os.sep

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(_FORBIDDEN):
            raise PermissionError(f"{event} is not allowed here")
        if event in _CHANGES or (event == "open" and _writes(arguments[2])):
            for path in arguments[:1] if event == "open" else arguments:
                if isinstance(path, str | bytes) and not _lies_in(inside, path):
                    raise PermissionError(f"{path!r} may not be changed here")

    sys.addaudithook(hook)


def _lies_in(inside: str, path: str | bytes) -> bool:
    return os.path.realpath(os.fsdecode(path)).startswith(inside)


def _writes(flags: int) -> bool:
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))

"""The files that programs need: Python's library and its shared libraries."""

from __future__ import annotations

import ctypes
import json
import os
import sys
from contextlib import suppress

_NOT_NEEDED = ("_tkinter", "nis.", "_test", "xx")
"""Extension modules for windows, networks and Python's own tests."""
_BESIDES = ("/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo", "/usr/lib/locale")


def main() -> None:
    """Print the paths as JSON."""
    sys.path.pop()
    library = [path for path in sys.path if os.path.exists(path)]
    held = [_loaded(os.path.join(folder, name)) for folder in library for name in _names(folder)]
    found = [*library, *_shared_libraries(), *filter(os.path.exists, _BESIDES)]
    assert held is not None  # keeps the libraries loaded until here
    sys.stdout.write(json.dumps(_outermost({os.path.normpath(path) for path in found})))


def _outermost(paths: set[str]) -> list[str]:
    """The paths that lie within no other path."""
    kept: list[str] = []
    for path in sorted(paths):
        if not kept or not path.startswith(kept[-1] + "/"):
            kept.append(path)
    return kept


def _names(folder: str) -> list[str]:
    if not os.path.isdir(folder):
        return []
    names = [name for name in os.listdir(folder) if name.endswith(".so")]
    return [name for name in names if not name.startswith(_NOT_NEEDED)]


def _loaded(path: str) -> ctypes.CDLL | None:
    with suppress(OSError):
        return ctypes.CDLL(path)
    return None


def _shared_libraries() -> list[str]:
    """The paths of all loaded shared libraries."""
    found: list[str] = []
    if not sys.platform.startswith("linux"):
        return found

    def keep(about: int, size: int, unused: int) -> int:
        name = ctypes.c_char_p.from_address(about + ctypes.sizeof(ctypes.c_void_p)).value
        if name and os.path.isfile(name):
            found.append(os.fsdecode(name))
        return 0

    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
    ctypes.CDLL(None).dl_iterate_phdr(kind(keep), None)
    return found

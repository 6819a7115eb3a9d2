"""Root passes over modes of files, which would hide what ordinary users meet."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

_VERSION = 0x20080522  # of the kernel's structures, for 64 capabilities
_PASS_OVER_MODES = 0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("process", ctypes.c_int)]


class _Half(ctypes.Structure):
    _fields_ = [
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    ]


@contextmanager
def bound_by_modes() -> Iterator[None]:
    """Modes of files bind this thread too, if it is root's; they bind others anyhow."""
    if os.geteuid() != 0:
        yield
        return
    header, halves = _Header(_VERSION, 0), (_Half * 2)()
    _call("capget", header, halves)
    effective = halves[0].effective
    halves[0].effective = effective & ~_PASS_OVER_MODES
    _call("capset", header, halves)
    try:
        yield
    finally:
        halves[0].effective = effective
        _call("capset", header, halves)


def _call(name: str, header: _Header, halves: ctypes.Array[_Half]) -> None:
    call = getattr(ctypes.CDLL(None, use_errno=True), name)
    if call(ctypes.byref(header), halves) != 0:
        raise OSError(ctypes.get_errno(), name)

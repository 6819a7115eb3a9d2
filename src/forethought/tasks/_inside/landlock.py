"""Landlock rules: readable and writable files, and no sockets or signals to the outside."""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable

from .kernel import Kernel
from .syscalls import number

_ASK_VERSION, _BENEATH = 1, 1
_EXECUTE, _WRITE, _READ, _LIST = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_DEVICES = 1 << 6 | 1 << 11
"""Rights to create device files."""
_IOCTL = 1 << 15
_FILE_RIGHTS_BY_VERSION = {1: 1 << 13, 2: 1 << 14, 3: 1 << 15, 5: 1 << 16}
"""First right unknown to each version of Landlock."""
_CONNECT_AND_BIND = 3
_SOCKETS_AND_SIGNALS = 3


def restrict(kernel: Kernel, readable: Iterable[str], devices: Iterable[str], work: str) -> None:
    """Restrict this process and its children to these files; OSError without Landlock."""
    version = kernel.call(number("landlock_create_ruleset"), None, 0, _ASK_VERSION)
    rights = max(last for since, last in _FILE_RIGHTS_BY_VERSION.items() if since <= version) - 1
    settings = struct.pack(
        "=QQQ", rights, _CONNECT_AND_BIND, _SOCKETS_AND_SIGNALS if version >= 6 else 0
    )
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    rules = kernel.call(number("landlock_create_ruleset"), settings, size, 0)
    for path in readable:
        _allow(kernel, rules, path, _READ | _LIST)
    for path in devices:
        _allow(kernel, rules, path, _READ | _WRITE)
    _allow(kernel, rules, work, rights & ~(_EXECUTE | _DEVICES | _IOCTL))
    kernel.call(number("landlock_restrict_self"), rules, 0)
    os.close(rules)


def _allow(kernel: Kernel, rules: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # a missing file needs no rule
    if not stat.S_ISDIR(os.fstat(place).st_mode):
        rights &= ~_LIST
    rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, place))
    kernel.call(number("landlock_add_rule"), rules, _BENEATH, rule, 0)
    os.close(place)

"""System calls without a function in Python's library."""

from __future__ import annotations

import ctypes
import os
import sys

from .syscalls import number

_DIE_WITH_PARENT, _DUMPABLE, _DROP_BOUND, _ADOPT_ORPHANS = 1, 4, 24, 36
_NO_NEW_PRIVILEGES, _HAS_NO_NEW_PRIVILEGES, _AMBIENT, _CLEAR_AMBIENT = 38, 39, 47, 4
_SECCOMP, _FILTER = 22, 2
_CAPABILITY_VERSION = 0x20080522
_MOST_CAPABILITIES = 64
NEW_USER = 0x10000000
NEW_PIDS = 0x20000000
NEW_MOUNTS_IPC_NET = 0x00020000 | 0x08000000 | 0x40000000


class Kernel:
    """System calls of this process; each raises OSError if the kernel refuses."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)

    def call(self, number: int, *arguments: object) -> int:
        """Make a system call by number."""
        return self._checked(self._libc.syscall(ctypes.c_long(number), *map(_word, arguments)))

    def named(self, name: str, *arguments: object) -> int:
        """Make a system call by name; OSError on an unknown architecture."""
        return self.call(number(name), *arguments)

    def unshare(self, flags: int) -> None:
        """Move this process into new namespaces."""
        self._checked(self._libc.unshare(ctypes.c_int(flags)))

    def mount(self, source: str, at: str, kind: str, flags: int, options: str = "") -> None:
        """Mount a file system, or bind a file or folder."""
        texts = (source.encode(), at.encode(), kind.encode())
        data = options.encode() or None
        self._checked(self._libc.mount(*texts, ctypes.c_ulong(flags), data))

    def unmount(self, at: str, flags: int) -> None:
        """Unmount a file system."""
        self._checked(self._libc.umount2(at.encode(), ctypes.c_int(flags)))

    def die_with_parent(self) -> None:
        """Receive SIGKILL when the parent ends."""
        if sys.platform.startswith("linux"):
            self._control(_DIE_WITH_PARENT, 9)

    def adopt_orphans(self) -> None:
        """Become the subreaper of orphaned descendants."""
        if sys.platform.startswith("linux"):
            self._control(_ADOPT_ORPHANS, 1)

    def hide_memory(self, hidden: bool) -> None:
        """Forbid or allow other processes of this user to read this process's memory."""
        self._control(_DUMPABLE, 0 if hidden else 1)

    def forbid_new_privileges(self) -> None:
        """Set no_new_privs: started programs gain no privileges."""
        self._control(_NO_NEW_PRIVILEGES, 1)

    def forbids_new_privileges(self) -> bool:
        """Whether no_new_privs is set."""
        return self._control(_HAS_NO_NEW_PRIVILEGES, 0) == 1

    def drop_bounding_set(self) -> None:
        """Drop the capability bounding set, so that started programs gain no capability."""
        for capability in range(_MOST_CAPABILITIES):
            try:
                self._control(_DROP_BOUND, capability)
            except OSError:
                return  # past the last capability, or without the privilege to drop any

    def drop_capabilities(self) -> None:
        """Drop all capabilities of this process."""
        self._control(_AMBIENT, _CLEAR_AMBIENT)
        header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
        self._checked(self._libc.capset(header, (ctypes.c_uint32 * 6)()))

    def has_capabilities(self) -> bool:
        """Whether this process has or may regain a capability."""
        header, sets = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)()
        self._checked(self._libc.capget(header, sets))
        return any(sets)

    def filter_calls(self, instructions: bytes) -> None:
        """Install a seccomp filter of BPF instructions."""
        code = ctypes.create_string_buffer(instructions)
        program = _FilterProgram(len(instructions) // 8, ctypes.addressof(code))
        self._control(_SECCOMP, _FILTER, ctypes.addressof(program))

    def _control(self, option: int, *arguments: int) -> int:
        words = [_word(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
        return self._checked(self._libc.prctl(ctypes.c_int(option), *words))

    def _checked(self, result: int) -> int:
        if result == -1:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
        return result


class _FilterProgram(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def _word(value: object) -> object:
    return ctypes.c_ulong(value & 0xFFFFFFFFFFFFFFFF) if isinstance(value, int) else value

"""A seccomp filter that refuses system calls no plain program needs: a second layer."""

from __future__ import annotations

import errno
import struct

from .kernel import Kernel
from .syscalls import AUDIT_NAMES, FIRST_COMMON, machine, number

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16
_FOREIGN_NUMBERS = 0x40000000
"""First system call number of the x32 ABI."""

_REFUSED = (
    # the tree of files
    *("mount", "umount2", "pivot_root", "chroot", "open_by_handle_at", "name_to_handle_at"),
    *("quotactl", "lookup_dcookie", "fanotify_init"),
    # namespaces and other processes
    *("setns", "unshare", "ptrace", "process_vm_readv", "process_vm_writev", "kcmp"),
    *("migrate_pages", "move_pages", "setpriority", "ioprio_set", "seccomp"),
    # other programs
    *("execve", "execveat", "personality"),
    # shared between processes
    *("socket", "bind", "connect", "listen", "accept", "accept4"),
    *("shmget", "shmat", "shmctl", "semget", "semop", "semctl", "semtimedop"),
    *("msgget", "msgsnd", "msgrcv", "msgctl", "mq_open", "mq_unlink"),
    *("keyctl", "add_key", "request_key"),
    # memory that no limit counts
    *("memfd_create", "userfaultfd", "io_setup"),
    # the kernel itself
    *("bpf", "perf_event_open", "init_module", "finit_module", "delete_module", "syslog"),
    *("kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff", "acct", "nfsservctl"),
    *("settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "sethostname"),
    *("setdomainname", "vhangup"),
)
_X86_REFUSED = (154, 172, 173)
"""modify_ldt, iopl and ioperm, which exist on x86 only."""
_RECENT = (
    *("close_range", "openat2", "faccessat2", "epoll_pwait2", "futex_waitv", "fchmodat2"),
    *("futex_wake", "futex_wait", "futex_requeue", "mseal"),
)
"""Recent calls that are allowed; all other recent calls return ENOSYS."""
_NEW_NAMESPACES = 0x7E020000
_TERMINAL_REQUESTS = (0x5412, 0x541C, 0x540E, 0x5423)
"""TIOCSTI, TIOCLINUX, TIOCSCTTY and TIOCSETD."""
_SET_PIPE_SIZE = 1031
_UNIX, _STREAM, _TYPE_BITS = 1, 1, 0xF


def install(kernel: Kernel) -> None:
    """Filter the system calls of this process and its children; OSError if unsupported."""
    if not machine():
        raise OSError(errno.ENOSYS, "no numbers of system calls are known for this machine")
    kernel.filter_calls(_program())


def _program() -> bytes:
    refused = [number(name) for name in _REFUSED]
    if machine() == "x86_64":
        refused += _X86_REFUSED
    return b"".join(
        [
            _step(_LOAD, _MACHINE),
            _step(_EQUAL, AUDIT_NAMES[machine()], 1, 0),
            _step(_RETURN, _KILL),
            _step(_LOAD, _NUMBER),
            _unless(_AT_LEAST, _FOREIGN_NUMBERS, _refusal(errno.EPERM)),
            *(_unless(_EQUAL, one, _refusal(errno.EPERM)) for one in refused),
            _recent(),
            _by_argument("clone", 0, [(_ANY_BIT, _NEW_NAMESPACES)]),
            _by_argument("ioctl", 1, [(_EQUAL, one) for one in _TERMINAL_REQUESTS]),
            _by_argument("fcntl", 1, [(_EQUAL, _SET_PIPE_SIZE)]),
            _socket_pairs(),
            _step(_RETURN, _ALLOW),
        ]
    )


def _recent() -> bytes:
    """Among calls with common numbers, allow only the known harmless ones."""
    allowed = [_unless(_EQUAL, number(name), _step(_RETURN, _ALLOW)) for name in _RECENT]
    body = b"".join(allowed) + _refusal(errno.ENOSYS)
    return _step(_AT_LEAST, FIRST_COMMON, 0, len(body) // 8) + body


def _by_argument(name: str, argument: int, refused: list[tuple[int, int]]) -> bytes:
    """Refuse a call if the low half of an argument matches a comparison."""
    tests = b"".join(_unless(how, value, _refusal(errno.EPERM)) for how, value in refused)
    body = _step(_LOAD, _ARGUMENTS + 8 * argument) + tests + _step(_RETURN, _ALLOW)
    return _step(_EQUAL, number(name), 0, len(body) // 8) + body


def _socket_pairs() -> bytes:
    """Allow only pairs of local stream sockets: other kinds can reach outside sockets."""
    body = (
        _step(_LOAD, _ARGUMENTS)
        + _step(_EQUAL, _UNIX, 0, 3)
        + _step(_LOAD, _ARGUMENTS + 8)
        + _step(_AND, _TYPE_BITS)
        + _step(_EQUAL, _STREAM, 1, 0)
        + _refusal(errno.EPERM)
        + _step(_RETURN, _ALLOW)
    )
    return _step(_EQUAL, number("socketpair"), 0, len(body) // 8) + body


def _unless(compare: int, value: int, then: bytes) -> bytes:
    return _step(compare, value, 0, len(then) // 8) + then


def _refusal(error: int) -> bytes:
    return _step(_RETURN, _REFUSE | error)


def _step(code: int, value: int, if_so: int = 0, if_not: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_so, if_not, value)

"""The inside of the sandbox: a script of its own, run by a fresh interpreter, never imported.

It walls itself off, forks a first process that owns the process tree, and that one forks the
worker that runs the program. What cannot be walled off here is watched by an audit hook instead.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import traceback
import types
from typing import Any, NoReturn

_NEW_MOUNTS, _NEW_IPC, _NEW_USER, _NEW_PIDS, _NEW_NET = (
    0x00020000,
    0x08000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
_SPACES = _NEW_MOUNTS | _NEW_IPC | _NEW_PIDS | _NEW_NET
_NO_SUID, _NO_DEVICES, _READ_ONLY, _RECURSIVE, _PRIVATE = 2, 4, 1, 0x4000, 1 << 18
_BIND = 4096
_DIE_WITH_PARENT, _ADOPT_ORPHANS = 1, 36
_MOUNT_SETATTR, _FROM_HERE, _WHOLE_TREE = 442, -100, 0x8000
_STRANGER = 60_000 + os.getpid() % 5000
"""A user that nobody is, so that limits by user count this program's processes alone."""
_LIBRARY = os.path.dirname(os.path.realpath(os.__file__))
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
    }
)


def main(settings_at: int, result_at: int) -> NoReturn:
    """Run the program that the settings hold, and exit as it did."""
    with os.fdopen(settings_at) as file:
        settings: dict[str, Any] = json.load(file)
    directory = os.getcwd()
    walls = _walls(directory, settings["file_bytes"])
    _become_nobody(directory, walls)
    os.write(result_at, (json.dumps(walls) + "\n").encode())
    first = os.fork()
    if first == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _first_process(settings, result_at, directory, walls)
    signal.signal(signal.SIGTERM, lambda *_: _stop(first))
    code = _exit_code(first)
    _kill_orphans()
    os._exit(code)


def _stop(first: int) -> NoReturn:
    """End the first process; its heirs come to this one, and are ended too."""
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    _kill_orphans()
    os._exit(128 + signal.SIGTERM)


def _become_nobody(directory: str, walls: list[str]) -> None:
    """Give up being the administrator, whom limits on processes do not bind.

    Not where only the administrator can read Python's own library: nothing would run.
    """
    if os.geteuid() != 0 or not _open_to_all(_LIBRARY):
        return
    try:
        os.setgroups([])
        os.setgid(_STRANGER)
        if "files" not in walls:
            os.chown(directory, _STRANGER, _STRANGER)
        os.setuid(_STRANGER)
    except OSError:
        return  # an administrator of a container, who may be nobody else


def _open_to_all(path: str) -> bool:
    return _first_closed(path) is None


def _first_closed(path: str) -> str | None:
    """The topmost folder on the way to `path` that only its owner may enter."""
    names = path.split("/")[1:]
    parts = ["/" + "/".join(names[:end]) for end in range(1, len(names) + 1)]
    return next((part for part in parts if os.stat(part).st_mode & 0o005 != 0o005), None)


def _walls(directory: str, file_bytes: int) -> list[str]:
    """Put up what the system allows, and say what stands: network, processes, files."""
    if not sys.platform.startswith("linux"):
        return []
    libc, user, group = _libc(), os.geteuid(), os.getegid()
    libc.prctl(_ADOPT_ORPHANS, 1, 0, 0, 0)
    if user != 0 or libc.unshare(_SPACES) != 0:
        if libc.unshare(_SPACES | _NEW_USER) != 0:
            return []
        try:
            _map_ids(user, group)
        except OSError:
            return ["network", "processes"]
    files = _wall_off_files(libc, directory, file_bytes)
    return ["network", "processes", *(["files"] if files else [])]


def _map_ids(user: int, group: int) -> None:
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def _wall_off_files(libc: ctypes.CDLL, directory: str, file_bytes: int) -> bool:
    """Make all files read-only but a small new folder, and hide other processes."""
    read_only = (ctypes.c_uint64 * 4)(_READ_ONLY, 0, 0, 0)
    owner = _STRANGER if os.geteuid() == 0 else os.geteuid()
    options = f"size={4 * file_bytes},nr_inodes=1024,mode=0700,uid={owner}"
    stands = (
        libc.mount(None, b"/", None, ctypes.c_ulong(_RECURSIVE | _PRIVATE), None) == 0
        and libc.syscall(_MOUNT_SETATTR, _FROM_HERE, b"/", _WHOLE_TREE, read_only, 32) == 0
        and _mounted(libc, "/proc", "size=1m,mode=0755")
        and (os.geteuid() != 0 or _library_opened(libc))
        and _mounted(libc, directory, options)
    )
    os.chdir(directory)
    return stands


def _library_opened(libc: ctypes.CDLL) -> bool:
    """Put Python's library where everyone may read it, and nothing else of a closed folder."""
    closed = _first_closed(_LIBRARY)
    if closed is None:
        return True
    os.mkdir("/proc/library")
    if not (_bound(libc, _LIBRARY, "/proc/library") and _mounted(libc, closed, "mode=0755")):
        return False
    os.makedirs(_LIBRARY, exist_ok=True)
    return _bound(libc, "/proc/library", _LIBRARY)


def _mounted(libc: ctypes.CDLL, at: str, options: str) -> bool:
    flags = ctypes.c_ulong(_NO_SUID | _NO_DEVICES)
    return bool(libc.mount(b"tmpfs", at.encode(), b"tmpfs", flags, options.encode()) == 0)


def _bound(libc: ctypes.CDLL, source: str, at: str) -> bool:
    flags = ctypes.c_ulong(_BIND)
    return bool(libc.mount(source.encode(), at.encode(), None, flags, None) == 0)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _first_process(
    settings: dict[str, Any], result_at: int, directory: str, walls: list[str]
) -> NoReturn:
    """Start the worker and end with it; whatever it leaves behind ends too."""
    if sys.platform.startswith("linux"):
        _libc().prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
        _libc().prctl(_ADOPT_ORPHANS, 1, 0, 0, 0)
    _limit(settings)
    worker = _forked(settings["processes"])
    if worker == 0:
        _work(settings, result_at, directory, walls)
    code = _exit_code(worker)
    _kill_orphans()
    os._exit(code)


def _limit(settings: dict[str, Any]) -> None:
    seconds, memory = settings["cpu_seconds"], settings["memory_bytes"]
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (settings["file_bytes"],) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def _forked(processes: int) -> int:
    """Fork under a limit on processes; where others of the user count too, leave room for them."""
    most = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    for others in (2, 1 << 9, 1 << 12, 1 << 15):
        allowed = processes + others
        if most != resource.RLIM_INFINITY:
            allowed = min(allowed, most)
        resource.setrlimit(resource.RLIMIT_NPROC, (allowed, most))
        try:
            return os.fork()
        except BlockingIOError:
            continue
    raise OSError("no process may be started")


def _exit_code(child: int) -> int:
    """How the child ended: its code, or 128 and the signal; orphans are buried meanwhile."""
    while True:
        ended, status = os.wait()
        if ended == child:
            code = os.waitstatus_to_exitcode(status)
            return 128 - code if code < 0 else code


def _kill_orphans() -> None:
    """Kill every process that was left to this one, and theirs, until none is left."""
    if os.getpid() == 1 or not os.path.isdir("/proc/self"):
        return  # the process tree ends with its first process
    while children := _children():
        for child in children:
            os.kill(child, signal.SIGKILL)
        for child in children:
            os.waitpid(child, 0)


def _children() -> list[int]:
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == os.getpid():
            found.append(int(name))
    return found


def _work(settings: dict[str, Any], result_at: int, directory: str, walls: list[str]) -> NoReturn:
    """Run the program to its end, and tell so with the secret that only this function holds."""
    write, leave, secret = os.write, os._exit, settings.pop("secret").encode()
    program = settings.pop("program")
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    sys.argv = ["program.py"]
    _watch(directory, walls)
    write(result_at, b"ready\n")
    try:
        exec(compile(program, "program.py", "exec"), module.__dict__)
    # The program may raise anything, its own exits included; all of it is a failure.
    except BaseException:
        try:
            traceback.print_exc()
        finally:
            leave(1)
    write(result_at, secret)
    leave(0)


def _watch(directory: str, walls: list[str]) -> None:
    """Refuse what the missing walls would have kept out; a fence for plain code, not a wall."""
    if len(walls) == 3:
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


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))

"""Tries all attacks as one user, where nothing prevents them and in the sandbox; prints JSON.

Run as a program: `python arena.py USER [LACKING]`, with a secret in its environment.
"""

from __future__ import annotations

import json
import os
import pty
import secrets
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ctypes import CDLL, c_char_p, c_void_p, memmove
from pathlib import Path
from typing import Any

from forethought.tasks._inside.kernel import Kernel
from forethought.tasks.sandbox import Limits, ProgramOutcome, ProgramTests, run
from tests.tasks.attacks import (
    forgeries,
    kernels,
    on_files,
    on_networks,
    on_privileges,
    on_processes,
    on_resources,
    whole,
)
from tests.tasks.attacks.users import become

GROUPS = {
    "files": on_files,
    "privileges": on_privileges,
    "processes": on_processes,
    "network": on_networks,
    "resources": on_resources,
}
LIMITS = Limits(seconds=60, cpu_seconds=30, memory_bytes=256 << 20, file_bytes=4 << 20)
SECRET = "FORETHOUGHT_SECRET_KEY"
_FOLDER = Path(__file__).parent
_VICTIMS = 6
_OLD_WALLS = """
def old_walls(bait):
    libc = ctypes.CDLL(None, use_errno=True)
    user, group, work = os.geteuid(), os.getegid(), os.getcwd()
    libc.unshare(0x00020000 | 0x04000000 | 0x08000000 | (0 if user == 0 else 0x10000000))
    maps = {"setgroups": "deny", "uid_map": f"{user} {user} 1", "gid_map": f"{group} {group} 1"}
    for name, text in maps.items() if user else ():
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    nothing = ctypes.c_ulong(0)
    libc.mount(None, b"/", None, ctypes.c_ulong(0x4000 | 1 << 18), None)
    libc.mount(b"none", bait["hidden"].encode(), b"tmpfs", nothing, None)
    system(442, -100, b"/", 0x8000, (ctypes.c_uint64 * 4)(1, 0, 0, 0), 32)
    libc.mount(b"none", work.encode(), b"tmpfs", nothing, None)
    os.chdir(work)
"""
"""Read-only files, put up by a process that keeps the rights to take them down again."""


def names(group: str) -> list[str]:
    """The attempts of a group."""
    module = GROUPS[group]
    found = [name for name, one in vars(module).items() if callable(one) and name[0] != "_"]
    return [name for name in found if getattr(module, name).__module__ == module.__name__]


def text_of(group: str, chosen: list[str], bait: dict[str, Any], prepare: str = "") -> str:
    """A program that tries these attempts of a group."""
    prelude = (_FOLDER / "prelude.py").read_text()
    attempts = (_FOLDER / f"{Path(GROUPS[group].__file__ or '').name}").read_text()
    tries = "\n".join(f"attempt({name!r}, BAIT{prepare})" for name in chosen)
    return f"BAIT = {bait!r}\n{prelude}\n{_OLD_WALLS}\n{attempts}\n{tries}\n"


class Host:
    """Things of the host that attempts are after, and what was seen of them."""

    def __init__(self, folder: Path) -> None:
        self.heard: set[str] = set()
        self.victims: list[int] = []
        self._folder = folder
        self._selector = selectors.DefaultSelector()
        self._end = threading.Event()
        self.bait = {**self._files(), **self._shared(), **self._listening()}
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _files(self) -> dict[str, Any]:
        folder, secret = self._folder, os.environ[SECRET]
        folder.chmod(0o777)
        bait: dict[str, Any] = {"folder": str(folder), "home": str(folder / "home")}
        bait |= {"begin": secret, "mark": secrets.token_hex(8), "starter": os.getpid()}
        for name in (
            "file",
            "removable",
            "renamable",
            "long",
            "dated",
            "linked",
            "hard",
            "climbed",
        ):
            bait[name] = str(folder / name)
            Path(bait[name]).write_text("kept")
            os.chmod(bait[name], 0o666)
        bait["closed"] = str(folder / "closed")
        Path(bait["closed"]).write_text("kept")
        os.chmod(bait["closed"], 0o600)
        for name in ("secret", "home/.ssh/id_ed25519", "home/.cache/huggingface/token"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(secret)
        bait["secret"] = self.bait_secret = str(folder / "secret")
        bait["hidden"] = str(folder / "hidden")
        (folder / "hidden" / "below").mkdir(parents=True)
        bait |= {"file_bytes": LIMITS.file_bytes, "memory_bytes": LIMITS.memory_bytes}
        return bait

    def _shared(self) -> dict[str, Any]:
        libc, key = CDLL(None, use_errno=True), secrets.randbits(30) + 1
        libc.shmat.restype = c_void_p
        self._segment = libc.shmget(key, 4096, 0o1666)
        if self._segment >= 0:
            place = libc.shmat(self._segment, None, 0)
            secret = os.environ[SECRET].encode()
            memmove(c_void_p(place), c_char_p(secret), len(secret))
        self._queue = libc.msgget(key, 0o1666)
        self._left_open = os.open(self.bait_secret, os.O_RDONLY)
        os.set_inheritable(self._left_open, True)
        self._name = f"forethought-{secrets.token_hex(6)}"
        with suppress(OSError):
            Path(f"/dev/shm/{self._name}").write_text(os.environ[SECRET])
        for _ in range(_VICTIMS):
            self.victims.append(_sleeper())
        return {"key": key, "name": self._name, "victims": self.victims}

    def _listening(self) -> dict[str, Any]:
        folder = self._folder
        port, packets = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
        port.bind(("127.0.0.1", 0))
        packets.bind(("127.0.0.1", 0))
        by_path, by_name = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        letters = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        by_path.bind(str(folder / "socket"))
        by_name.bind("\0" + self._name)
        letters.bind(str(folder / "letters"))
        os.chmod(folder / "socket", 0o777)
        os.chmod(folder / "letters", 0o777)
        os.mkfifo(folder / "pipe")
        os.chmod(folder / "pipe", 0o666)
        pipe = os.open(folder / "pipe", os.O_RDWR | os.O_NONBLOCK)
        self._terminal, terminal = pty.openpty()
        self._open = (port, packets, by_path, by_name, letters)
        self._places = (pipe, self._terminal, terminal)
        for one, name in ((port, "port"), (by_path, "socket"), (by_name, "name")):
            one.listen(8)
            self._selector.register(one, selectors.EVENT_READ, name)
        for one, name in ((packets, "packets"), (letters, "letters")):
            self._selector.register(one, selectors.EVENT_READ, name)
        self._selector.register(pipe, selectors.EVENT_READ, "pipe")
        self._selector.register(self._terminal, selectors.EVENT_READ, "terminal")
        return {
            "port": port.getsockname()[1],
            "packets": packets.getsockname()[1],
            "socket": str(folder / "socket"),
            "letters": str(folder / "letters"),
            "pipe": str(folder / "pipe"),
            "terminal": os.ttyname(terminal),
        }

    def _listen(self) -> None:
        while not self._end.is_set():
            for key, _ in self._selector.select(0.05):
                self.heard.add(key.data)
                if isinstance(key.fileobj, int):
                    os.read(key.fileobj, 4096)
                elif key.data in ("packets", "letters"):
                    key.fileobj.recv(4096)  # type: ignore[attr-defined]
                else:
                    key.fileobj.accept()[0].close()  # type: ignore[attr-defined]

    def close(self) -> None:
        """End and remove all of it."""
        time.sleep(0.1)
        self._end.set()
        self._thread.join()
        for one in self._open:
            one.close()
        for place in (*self._places, self._left_open):
            os.close(place)
        for victim in self.victims:
            os.kill(victim, signal.SIGKILL)
            os.waitpid(victim, 0)
        libc = CDLL(None)
        libc.shmctl(self._segment, 0, None)
        libc.msgctl(self._queue, 0, None)
        with suppress(OSError):
            os.unlink(f"/dev/shm/{self._name}")
        with suppress(OSError):
            Kernel().named("mq_unlink", self._name.encode())


def _sleeper() -> int:
    child = os.fork()
    if child:
        return child
    os.setsid()
    time.sleep(300)
    os._exit(0)


@contextmanager
def host() -> Iterator[Host]:
    """A host with new baits."""
    folder = Path(tempfile.mkdtemp(prefix="bait-"))
    one = Host(folder)
    try:
        yield one
    finally:
        one.close()
        shutil.rmtree(folder, ignore_errors=True)


def tried(output: str) -> dict[str, list[Any]]:
    """What attempts said of themselves."""
    lines = [line for line in output.splitlines() if line.startswith("tried ")]
    found = [json.loads(line.removeprefix("tried ")) for line in lines]
    return {name: [won, note] for name, won, note in found}


def seen(group: str, told: dict[str, list[Any]], of: Host) -> dict[str, list[Any]]:
    """The same with what showed outside."""
    time.sleep(0.06)
    bait = {**of.bait, "heard": of.heard}
    for name, shows in GROUPS[group].EFFECTS.items():
        if name in told:
            told[name][0] = bool(shows(bait))
    return told


def openly(group: str) -> dict[str, list[Any]]:
    """All attempts of a group by a plain process; those on privileges behind walls it may move."""
    prepare = ", old_walls" if group == "privileges" else ""
    chosen = [name for name in names(group) if name not in GROUPS[group].HARMFUL]
    with host() as of, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as work:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", text_of(group, chosen, of.bait, prepare)],
            cwd=work,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            close_fds=False,
        )
        told = {name: [False, done.stderr[-300:]] for name in chosen} | tried(done.stdout)
        return seen(group, told, of)


def walled(group: str) -> dict[str, Any]:
    """All attempts of a group in one sandbox."""
    with host() as of:
        outcome = run(text_of(group, names(group), of.bait), LIMITS)
        told = tried(outcome.output)
        silent = [False, f"not tried: {outcome.status} {outcome.output[-300:]}"]
        told = {name: told.get(name, list(silent)) for name in names(group)}
        return {"told": seen(group, told, of), "walls": outcome.walls, "output": outcome.output}


def forged() -> dict[str, dict[str, Any]]:
    """For each forgery, whether it passes in the tests' own process, and in the sandbox."""
    found = {}
    tests = ProgramTests("wanted", forgeries.TESTS + "\ncheck(wanted)\n")
    for name, program in forgeries.FORGERIES.items():
        code = forgeries.PLAIN.format(program=program, tests=forgeries.TESTS)
        plain = subprocess.run(
            [sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=60
        )
        outcome = run(program, Limits(seconds=5), tests)
        found[name] = {
            "openly": plain.returncode == 0,
            "error": plain.stderr[-300:],
            "walled": outcome.status,
            "output": outcome.output[-300:],
        }
    return found


def ended() -> dict[str, dict[str, Any]]:
    """How endless programs end, how long that takes, and what is left."""
    found = {}
    for name, program in whole.ENDLESS.items():
        before = time.monotonic()
        outcome = run(program, Limits(seconds=0.5, cpu_seconds=30))
        found[name] = {"status": outcome.status, "seconds": time.monotonic() - before}
    return found


def survivors() -> dict[str, Any]:
    """Processes of one name that a program leaves: by a plain one, and out of the sandbox."""
    found: dict[str, Any] = {}
    name = f"left-{secrets.token_hex(4)}"
    subprocess.run([sys.executable, "-I", "-c", whole.SURVIVING.format(name=name)], check=True)
    found["openly"] = len(left := _named(name.encode()))
    for process in left:
        os.kill(process, signal.SIGKILL)
    name = f"left-{secrets.token_hex(4)}"
    found["status"] = run(whole.SURVIVING.format(name=name), LIMITS).status
    found["walled"] = len(_named(name.encode()))
    return found


def _named(name: bytes) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/comm"):
        with suppress(OSError):
            if path.read_bytes().strip() == name:
                found.append(int(path.parent.name))
    return found


def memory() -> dict[str, Any]:
    """Four children that hold three quarters of a limit each: openly, and in the sandbox."""
    each = LIMITS.memory_bytes * 3 // 4
    code = whole.MEMORY_OF_CHILDREN.format(each=each, seconds=10)
    plain = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    outcome = run(code, LIMITS)
    small = whole.MEMORY_OF_CHILDREN.format(each=each // 6, seconds=10)
    return {
        "openly": plain.stdout,
        "walled": outcome.output,
        "status": outcome.status,
        "allowed": run(small, LIMITS).status,
    }


def output() -> dict[str, Any]:
    """How much is kept of 64 MiB of output."""
    outcome = run(whole.MUCH_OUTPUT, LIMITS)
    return {"status": outcome.status, "kept": len(outcome.output), "most": LIMITS.output_bytes}


def killed() -> dict[str, Any]:
    """How a program ends that kills all processes it can, and whether a victim is left."""
    with host() as of:
        outcome: ProgramOutcome = run(whole.KILLS_ALL, LIMITS)
        with open(f"/proc/{of.victims[0]}/stat") as file:
            state = file.read().rpartition(")")[2].split()[0]
    return {"status": outcome.status, "victim": state}


def main(user: int, lacking: str = "") -> None:
    """Try everything as this user, or what the sandbox holds on a kernel that lacks something."""
    os.umask(0o022)
    become(user)
    if lacking:
        kernels.take_away(lacking.split(","))
        print(json.dumps({"walled": {group: walled(group) for group in GROUPS}}))
        return
    held = {group: walled(group) for group in GROUPS}
    found: dict[str, Any] = {"given": kernels.given(), "walled": held, "user": os.geteuid()}
    if "processes" in held["processes"]["walls"]:  # else these would end all of this user's
        found |= {"ended": ended(), "killed": killed()}
    found |= {
        "openly": {group: openly(group) for group in GROUPS},
        "forged": forged(),
        "survivors": survivors(),
        "memory": memory(),
        "output": output(),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])

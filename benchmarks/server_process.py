"""Server processes: their start, their resident memory and their end."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.error import HTTPError
from urllib.request import urlopen

START_SECONDS = 300.0
"""Longest time until a server is ready: models are read, some servers compile."""
STOP_SECONDS = 30.0
"""Longest time between SIGTERM and SIGKILL."""


@dataclass(frozen=True)
class ServerProcess:
    """A server that this benchmark has started, in a session of its own."""

    process: subprocess.Popen[bytes]
    log: Path

    def resident_bytes(self) -> int:
        """Resident memory of the command and of its descendants."""
        return sum(_resident_bytes(pid) for pid in _session(self.process.pid))

    def check_alive(self) -> None:
        """Raise if the server has ended."""
        code = self.process.poll()
        if code is not None:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-10:])
            raise RuntimeError(f"the server ended with {code}; the end of {self.log}:\n{tail}")

    def stop(self) -> None:
        """SIGTERM to the command, then SIGKILL to every process that it leaves."""
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        end = time.monotonic() + STOP_SECONDS
        while (left := _session(self.process.pid)) and time.monotonic() < end:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        self.process.wait()


@contextmanager
def started(name: str, command: str, address: str) -> Iterator[ServerProcess]:
    """A server that is ready for requests at `address`, and stopped at the end."""
    if status(f"{address}/health"):
        raise RuntimeError(f"{address} answers before {name} is started: stop the server there")
    handle, path = tempfile.mkstemp(prefix=f"serving-{name}-", suffix=".log")
    with open(handle, "wb") as log:
        process = _launched(name, command, log)
    print(f"{name}: process {process.pid}, log {path}", file=sys.stderr, flush=True)
    server = ServerProcess(process, Path(path))
    try:
        _wait_until_ready(server, address)
        yield server
    finally:
        server.stop()


def _launched(name: str, command: str, log: IO[bytes]) -> subprocess.Popen[bytes]:
    """The process of a command, as the leader of its session."""
    try:
        return subprocess.Popen(
            shlex.split(command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:  # no such program, an open quotation
        raise RuntimeError(f"{name} cannot be started: {error}") from error


def _wait_until_ready(server: ServerProcess, address: str) -> None:
    """Wait for /health, and for /ready where a server has it (some are healthy before models)."""
    end = time.monotonic() + START_SECONDS
    while status(f"{address}/health") != 200 or status(f"{address}/ready") not in (200, 404):
        server.check_alive()
        if time.monotonic() > end:
            raise RuntimeError(f"{address} is not ready; see {server.log}")
        time.sleep(0.05)
    server.check_alive()


def status(url: str) -> int:
    """The HTTP status of an address; 0 if nothing answers."""
    try:
        with urlopen(url, timeout=5) as reply:
            return int(reply.status)
    except HTTPError as error:
        return error.code
    except OSError:
        return 0


def process_bytes(pid: int) -> int:
    """Resident memory of one process; an error if there is none."""
    found = _resident_bytes(pid)
    if not found:
        raise RuntimeError(f"no process {pid}")
    return found


def _session(leader: int) -> list[int]:
    """The living processes of a session; a child may change its group, but seldom its session."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):  # it has ended meanwhile
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == leader and fields[0] != "Z":
                    found.append(int(folder.name))
    return found


def _resident_bytes(pid: int) -> int:
    """VmRSS; 0 for a process that has ended, which has none."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return 1024 * int(line.split()[1])
    return 0

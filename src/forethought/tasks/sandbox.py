"""Running programs that nobody has read: a process of its own that can neither look nor reach out.

On Linux with user namespaces the program has its own network (none), its own process tree (killed
whole) and a read-only view of all files but a small new folder. Elsewhere an audit hook refuses
sockets, commands and changes of files, and the process group is killed; that stops code that is
merely wrong, not code that is out to break it. Limits on processor time, memory, files and
processes hold everywhere. No packages can be imported, only Python's own library.

That a program passed is told with a secret that it is never given; one that searches the
interpreter's frames for it could still cheat.
"""

from __future__ import annotations

import json
import os
import secrets
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Literal

from forethought.contracts.errors import ForethoughtError

Status = Literal["passed", "failed", "timed out"]

_INSIDE = Path(__file__).with_name("_sandboxed.py")
_SECONDS_TO_START = 60.0
_OUT_OF_PROCESSOR_TIME = 128 + signal.SIGXCPU


class SandboxError(ForethoughtError):
    """The sandbox itself did not work, so nothing is known of the program."""


@dataclass(frozen=True)
class Limits:
    """What a program may use."""

    seconds: float = 10.0
    """Time on the wall clock."""
    cpu_seconds: int = 10
    """Processor time of each process."""
    memory_bytes: int = 1 << 30
    """Address space of each process."""
    file_bytes: int = 16 << 20
    """Length of each file."""
    processes: int = 16
    """Processes and threads beside the first."""
    output_bytes: int = 1 << 16
    """Output that is kept; the rest is thrown away."""


@dataclass(frozen=True)
class Outcome:
    """How a program ended."""

    status: Status
    """Passed only if it ran to its last line; leaving early, whatever its code, is a failure."""
    output: str
    """What it wrote to standard output and error, up to the limit."""
    walls: tuple[str, ...]
    """What the system kept apart: network, processes, files; the rest is only watched."""


DEFAULT = Limits()


def run(program: str, limits: Limits = DEFAULT) -> Outcome:
    """Run a Python program under limits; a SandboxError if it could not be started."""
    secret = secrets.token_hex(16)
    with (
        tempfile.TemporaryDirectory(prefix="forethought-", ignore_cleanup_errors=True) as folder,
        tempfile.TemporaryFile("w+") as settings,
    ):
        json.dump({**asdict(limits), "program": program, "secret": secret}, settings)
        settings.seek(0)
        talk = _conversation(folder, settings, limits)
    return _outcome(talk, secret)


@dataclass(frozen=True)
class _Talk:
    """All that was heard of a program."""

    said: bytes
    """By the inside of the sandbox: its walls, that it is ready, and the secret."""
    output: bytes
    code: int | None
    """The exit code; None where time ran out."""


def _conversation(folder: str, settings: IO[str], limits: Limits) -> _Talk:
    reads, writes = os.pipe()
    try:
        process = _started(folder, settings, writes)
    except OSError as error:
        os.close(reads)
        raise SandboxError(f"no process could be started: {error}", "try again later") from error
    finally:
        os.close(writes)
    assert process.stdout is not None
    try:
        return _heard(process, reads, process.stdout.fileno(), limits)
    finally:
        _end(process)
        process.stdout.close()
        os.close(reads)


def _started(folder: str, settings: IO[str], writes: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-B", "-u", _INSIDE, str(settings.fileno()), str(writes)],
        cwd=folder,
        env={"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": folder, "TMPDIR": folder},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=(settings.fileno(), writes),
        start_new_session=True,
    )


def _heard(process: subprocess.Popen[bytes], said: int, output: int, limits: Limits) -> _Talk:
    """What comes through both pipes until the process ends or its time is up."""
    kept = {said: b"", output: b""}
    most = {said: 4096, output: limits.output_bytes}
    deadline, ready = time.monotonic() + _SECONDS_TO_START, False
    with selectors.DefaultSelector() as selector:
        for pipe in kept:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map() and (left := deadline - time.monotonic()) > 0:
            events = selector.select(min(left, 0.1))
            if not events and process.poll() is not None:
                break
            for key, _ in events:
                chunk = os.read(key.fd, 1 << 16)
                kept[key.fd] += chunk[: most[key.fd] - len(kept[key.fd])]
                if not chunk:
                    selector.unregister(key.fd)
            if not ready and b"\nready\n" in kept[said]:
                deadline, ready = time.monotonic() + limits.seconds, True
    return _Talk(kept[said], kept[output], _code(process, deadline))


def _code(process: subprocess.Popen[bytes], deadline: float) -> int | None:
    try:
        return process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return None


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and all that it started; the inside ends its own tree when asked."""
    process.terminate()
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _outcome(talk: _Talk, secret: str) -> Outcome:
    walls, _, rest = talk.said.decode(errors="replace").partition("\n")
    output = talk.output.decode(errors="replace")
    ready, _, told = rest.partition("\n")
    if ready != "ready":
        raise SandboxError(
            f"the sandbox did not start: {output.strip()[-500:] or 'it said nothing'}",
            "the program was not run; see that Python can start and that memory is free",
        )
    return Outcome(_status(told == secret, talk.code), output, tuple(json.loads(walls)))


def _status(finished: bool, code: int | None) -> Status:
    if finished:
        return "passed"
    return "timed out" if code in (None, _OUT_OF_PROCESSOR_TIME) else "failed"

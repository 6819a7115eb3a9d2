"""The sandbox: runs untrusted programs, separated from the system and from their tests.

A program runs in a process without privileges. It sees only Python's library and one small
empty folder, and reaches no network, terminal or other process. On Linux, namespaces isolate it.
Landlock rules and a seccomp filter are a second layer, or the only one if namespaces are not
permitted. Every wall is tested before the program is loaded, and the outcome lists the walls that
held. If files, network or processes stay open, an audit hook refuses what plain code would do.

The tests run in a process of their own. They call the program's function over a pipe that
carries plain values only, so that the program cannot reach the expected results.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any, Literal

from forethought.contracts.errors import ForethoughtError
from forethought.tasks._memory import MemoryBound, bound

Status = Literal["passed", "failed", "timed out", "unfit"]

WALLS = ("files", "network", "processes", "privileges", "terminal", "kernel", "memory")
"""All walls: the resources that a program can be kept from."""

_FOLDER = Path(__file__).parent
_SECONDS_TO_START = 60.0
_SECONDS_BETWEEN_LOOKS = 0.05
_OUT_OF_PROCESSOR_TIME = 128 + 24
"""Exit code for the signal SIGXCPU, which Windows lacks."""


class SandboxError(ForethoughtError):
    """The sandbox failed, so the program has no outcome."""


class MissingWallsError(SandboxError):
    """A required wall does not hold on this system."""

    exit_code = 2


@dataclass(frozen=True)
class Limits:
    """Resource limits of a program."""

    seconds: float = 10.0
    """Wall-clock time."""
    cpu_seconds: int = 10
    """Processor time of each process."""
    memory_bytes: int = 1 << 30
    """Address space of each process, and memory of all together."""
    file_bytes: int = 16 << 20
    """Size of each file; all files together may have four times as much."""
    processes: int = 16
    """Processes and threads besides the first."""
    output_bytes: int = 1 << 16
    """Output kept; the rest is dropped."""


@dataclass(frozen=True)
class ProgramTests:
    """Tests that a program must pass."""

    entry: str
    """Name of the tested function, as the tests call it."""
    source: str
    """The tests, which pass if they run to their end."""
    setup: str = ""
    """Code that the tests need, but that is not tested."""


@dataclass(frozen=True)
class ProgramOutcome:
    """The outcome of a program."""

    status: Status
    """`unfit`: the tests failed before they called the program."""
    output: str
    """Standard output and error, up to the limit."""
    walls: tuple[str, ...]
    """Walls that were tested and held."""
    reason: str = ""
    """Why the tests are unfit."""


DEFAULT = Limits()
_LOADS = ProgramTests(entry="", source="")


def run(
    program: str,
    limits: Limits = DEFAULT,
    tests: ProgramTests = _LOADS,
    needed: tuple[str, ...] = (),
) -> ProgramOutcome:
    """Run tests on a program; without tests it passes if it runs to its end.

    SandboxError if the sandbox fails. MissingWallsError, before the program is loaded, if a wall
    in `needed` does not hold.
    """
    if os.name != "posix":
        raise SandboxError("the sandbox does not run on Windows", "use Linux or macOS")
    settings = {
        "program": program,
        "entry": tests.entry,
        "setup": tests.setup,
        "tests": tests.source,
        "needed": [wall for wall in needed if wall != "memory"],
    }
    with (
        _folder() as folder,
        tempfile.TemporaryFile("w+", encoding="utf-8") as file,
        bound(limits.memory_bytes) as memory,
    ):
        json.dump(settings, file)
        file.seek(0)
        if "memory" in needed and not memory.stands:
            raise _missing({"memory"})
        transcript = _conversation(folder, file, limits, memory)
    return _outcome(transcript, needed)


@cache
def missing_walls() -> tuple[str, ...]:
    """The walls that do not hold on this system; tested once."""
    held = run("").walls
    return tuple(wall for wall in WALLS if wall not in held)


@contextmanager
def _folder() -> Iterator[Path]:
    """A temporary folder with the program's work folder, and bait that it must not reach."""
    with tempfile.TemporaryDirectory(prefix="forethought-", ignore_cleanup_errors=True) as name:
        folder = Path(os.path.realpath(name))
        folder.chmod(0o711)
        (folder / "work").mkdir(mode=0o700)
        (folder / "root").mkdir()
        (folder / "file").touch()
        (folder / "file").chmod(0o666)
        yield folder


@dataclass(frozen=True)
class _Transcript:
    """Everything received from a sandbox."""

    messages: bytes
    """Messages of the tests' process: walls, readiness, verdict."""
    output: bytes
    code: int | None
    """The exit code; None after a timeout."""
    bounded: bool
    """Whether a memory limit was in force."""


def _conversation(
    folder: Path, settings: IO[str], limits: Limits, memory: MemoryBound
) -> _Transcript:
    config = {"limits": asdict(limits), "outside": str(folder)}
    config |= {"readable": _readable(sys.executable)}
    reads, writes = os.pipe()
    try:
        process = _started(folder / "work", settings.fileno(), writes)
    except BaseException:
        os.close(reads)
        raise
    finally:
        os.close(writes)
    try:
        # The process waits for its configuration, so nothing runs before memory is limited.
        memory.start(process.pid)
        _configure(process, config)
        return _transcript_of(process, reads, limits, memory)
    finally:
        _end(process)
        os.close(reads)


def _started(work: Path, settings: int, writes: int) -> subprocess.Popen[bytes]:
    return _process(
        f"from _inside import start; start.main({settings}, {writes})",
        cwd=work,
        env={"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": str(work), "TMPDIR": str(work)},
        stderr=subprocess.STDOUT,
        pass_fds=(settings, writes),
    )


def _process(code: str, **settings: Any) -> subprocess.Popen[bytes]:
    """A fresh interpreter without packages, whose path holds only the inside of the sandbox."""
    start = f"import sys; sys.path.append({str(_FOLDER)!r}); {code}"
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-u", "-c", start],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            **settings,
        )
    except OSError as error:
        raise SandboxError(
            f"no process could be started with Python at {sys.executable!r}: {error}",
            "see that this user may run that Python, and that more processes may be started",
        ) from error


@cache
def _readable(executable: str) -> list[str]:
    """The files that programs need, as surveyed by this interpreter."""
    with _process("from _inside import survey; survey.main()", stderr=subprocess.PIPE) as process:
        found, errors = process.communicate()
    if process.returncode != 0:
        raise _not_started(errors.decode(errors="replace"))
    paths: list[str] = json.loads(found)
    return paths


def _configure(process: subprocess.Popen[bytes], config: dict[str, Any]) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # it ended at once; its output explains why
        process.stdin.write(json.dumps(config).encode())
    with suppress(BrokenPipeError):
        process.stdin.close()


def _transcript_of(
    process: subprocess.Popen[bytes], messages: int, limits: Limits, memory: MemoryBound
) -> _Transcript:
    """Read both pipes until the process ends or exceeds its time or memory."""
    assert process.stdout is not None
    output = process.stdout.fileno()
    kept = {messages: b"", output: b""}
    most = {messages: 1 << 16, output: limits.output_bytes}
    deadline, ready, exceeded = time.monotonic() + _SECONDS_TO_START, False, False
    look = time.monotonic() + _SECONDS_BETWEEN_LOOKS
    with selectors.DefaultSelector() as selector:
        for pipe in kept:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map() and (left := deadline - time.monotonic()) > 0 and not exceeded:
            events = selector.select(min(left, _SECONDS_BETWEEN_LOOKS))
            if not events and process.poll() is not None:
                break
            for key, _ in events:
                chunk = os.read(key.fd, 1 << 16)
                kept[key.fd] += chunk[: most[key.fd] - len(kept[key.fd])]
                if not chunk:
                    selector.unregister(key.fd)
            if not ready and b"ready" in kept[messages]:
                deadline, ready = time.monotonic() + limits.seconds, True
            if time.monotonic() > look:
                look, exceeded = time.monotonic() + _SECONDS_BETWEEN_LOOKS, memory.exceeded()
    code = -1 if exceeded else _code(process, deadline)
    return _Transcript(kept[messages], kept[output], code, memory.stands)


def _code(process: subprocess.Popen[bytes], deadline: float) -> int | None:
    try:
        return process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return None


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process tree; on SIGTERM the inside ends its own tree."""
    process.terminate()
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert process.stdout is not None
    process.stdout.close()


def _outcome(transcript: _Transcript, needed: tuple[str, ...]) -> ProgramOutcome:
    output = transcript.output.decode(errors="replace")
    messages: dict[str, Any] = {}
    for line in transcript.messages.decode(errors="replace").splitlines():
        with suppress(ValueError):  # a truncated line
            messages |= json.loads(line)
    if "walls" not in messages:
        raise _not_started(output)
    walls = [*messages["walls"], *(["memory"] if transcript.bounded else [])]
    if missing := set(needed) - set(walls):
        raise _missing(missing)
    if "ready" not in messages:
        raise _not_started(output)
    ended: Status = "timed out" if transcript.code in (None, _OUT_OF_PROCESSOR_TIME) else "failed"
    return ProgramOutcome(
        messages.get("verdict", ended), output, tuple(walls), messages.get("reason", "")
    )


def _not_started(output: str) -> SandboxError:
    return SandboxError(
        f"the sandbox did not start: {output.strip()[-500:] or 'it said nothing'}",
        "the program was not run; see that Python can start and that memory is free",
    )


def _missing(walls: set[str]) -> MissingWallsError:
    names = ", ".join(wall for wall in WALLS if wall in walls)
    return MissingWallsError(
        f"this system does not keep programs from: {names}",
        "run on Linux with user namespaces, Landlock and seccomp, or leave out --sandbox strict",
    )

"""Running programs that nobody has read, apart from all else and from the tests that judge them.

A program runs in a process that holds no privilege, sees no file but Python's own library and one
small empty folder, and reaches no network, terminal or other process. Namespaces wall it off on
Linux; Landlock rules and a filter of system calls do so once more, or alone where a user may have
no namespaces. All walls are tried before the program is loaded, and those that held are told. Where
files, network or processes stay open, an audit hook refuses what plain code would do.

The tests run in a process of their own. They call the program's function over a pipe that carries
plain values alone, so that nothing in the program can reach what it is compared with.
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
"""What a program may be kept from: all walls there are."""

_FOLDER = Path(__file__).parent
_SECONDS_TO_START = 60.0
_SECONDS_BETWEEN_LOOKS = 0.05
_OUT_OF_PROCESSOR_TIME = 128 + 24
"""The exit code by the signal SIGXCPU, which Windows lacks."""


class SandboxError(ForethoughtError):
    """The sandbox itself did not work, so nothing is known of the program."""


class MissingWallsError(SandboxError):
    """This system cannot keep programs from everything, and all walls were asked for."""

    exit_code = 2


@dataclass(frozen=True)
class Limits:
    """What a program may use."""

    seconds: float = 10.0
    """Time on the wall clock."""
    cpu_seconds: int = 10
    """Processor time of each process."""
    memory_bytes: int = 1 << 30
    """Address space of each process, and memory of all together."""
    file_bytes: int = 16 << 20
    """Length of each file; all together may have four times as much."""
    processes: int = 16
    """Processes and threads beside the first."""
    output_bytes: int = 1 << 16
    """Output that is kept; the rest is thrown away."""


@dataclass(frozen=True)
class ProgramTests:
    """What a program has to pass."""

    entry: str
    """The function of the program that is tested, which the tests call by this name."""
    source: str
    """The tests: they are passed where they run to their end."""
    setup: str = ""
    """Code that the tests need, but do not judge."""


@dataclass(frozen=True)
class ProgramOutcome:
    """How a program ended."""

    status: Status
    """Unfit: the tests themselves failed, before they asked the program anything."""
    output: str
    """What was written to standard output and error, up to the limit."""
    walls: tuple[str, ...]
    """The walls that were tried and held."""
    reason: str = ""
    """What is wrong with the tests."""


DEFAULT = Limits()
_LOADS = ProgramTests(entry="", source="")


def run(
    program: str,
    limits: Limits = DEFAULT,
    tests: ProgramTests = _LOADS,
    needed: tuple[str, ...] = (),
) -> ProgramOutcome:
    """Run tests on a program; without tests it passes where it runs to its end.

    SandboxError where it could not be run; MissingWallsError, before the program is loaded, where
    a wall of those that are needed does not hold.
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
        talk = _conversation(folder, file, limits, memory)
    return _outcome(talk, needed)


@cache
def missing_walls() -> tuple[str, ...]:
    """The walls that do not hold on this system, tried once."""
    held = run("").walls
    return tuple(wall for wall in WALLS if wall not in held)


@contextmanager
def _folder() -> Iterator[Path]:
    """A new folder with one for the program to work in, and things that it must not reach."""
    with tempfile.TemporaryDirectory(prefix="forethought-", ignore_cleanup_errors=True) as name:
        folder = Path(os.path.realpath(name))
        folder.chmod(0o711)
        (folder / "work").mkdir(mode=0o700)
        (folder / "root").mkdir()
        (folder / "file").touch()
        (folder / "file").chmod(0o666)
        yield folder


@dataclass(frozen=True)
class _Talk:
    """All that was heard of a program."""

    said: bytes
    """By the tests' side: the walls, that all is ready, and the verdict."""
    output: bytes
    code: int | None
    """The exit code; None where time ran out."""
    bounded: bool
    """Whether memory was."""


def _conversation(folder: Path, settings: IO[str], limits: Limits, memory: MemoryBound) -> _Talk:
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
        # It waits for its configuration, so that nothing starts before memory is bounded.
        memory.start(process.pid)
        _configure(process, config)
        return _heard(process, reads, limits, memory)
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
    """A fresh interpreter, without packages, that finds the inside of the sandbox alone."""
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
    """The files that programs need, as this interpreter tells."""
    with _process("from _inside import survey; survey.main()", stderr=subprocess.PIPE) as process:
        found, errors = process.communicate()
    if process.returncode != 0:
        raise _silent(errors.decode(errors="replace"))
    paths: list[str] = json.loads(found)
    return paths


def _configure(process: subprocess.Popen[bytes], config: dict[str, Any]) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # it ended at once; what it said is told
        process.stdin.write(json.dumps(config).encode())
    with suppress(BrokenPipeError):
        process.stdin.close()


def _heard(
    process: subprocess.Popen[bytes], said: int, limits: Limits, memory: MemoryBound
) -> _Talk:
    """What comes through both pipes until the process ends, or its time is up, or its memory."""
    assert process.stdout is not None
    output = process.stdout.fileno()
    kept = {said: b"", output: b""}
    most = {said: 1 << 16, output: limits.output_bytes}
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
            if not ready and b"ready" in kept[said]:
                deadline, ready = time.monotonic() + limits.seconds, True
            if time.monotonic() > look:
                look, exceeded = time.monotonic() + _SECONDS_BETWEEN_LOOKS, memory.exceeded()
    code = -1 if exceeded else _code(process, deadline)
    return _Talk(kept[said], kept[output], code, memory.stands)


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
    assert process.stdout is not None
    process.stdout.close()


def _outcome(talk: _Talk, needed: tuple[str, ...]) -> ProgramOutcome:
    output = talk.output.decode(errors="replace")
    said: dict[str, Any] = {}
    for line in talk.said.decode(errors="replace").splitlines():
        with suppress(ValueError):  # a line that was cut
            said |= json.loads(line)
    if "walls" not in said:
        raise _silent(output)
    walls = [*said["walls"], *(["memory"] if talk.bounded else [])]
    if missing := set(needed) - set(walls):
        raise _missing(missing)
    if "ready" not in said:
        raise _silent(output)
    ended: Status = "timed out" if talk.code in (None, _OUT_OF_PROCESSOR_TIME) else "failed"
    return ProgramOutcome(said.get("verdict", ended), output, tuple(walls), said.get("reason", ""))


def _silent(output: str) -> SandboxError:
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

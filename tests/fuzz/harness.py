"""Feeds mutants of one kind to the code that reads them, in processes that may die of it.

    python -m tests.fuzz.harness KIND[,KIND...] FIRST COUNT

prints one JSON object for each kind: how many mutants were refused and accepted, and the failures,
each with the seed that makes it again. A mutant may end in an error of ours, or be used; it may
not raise anything else, end the process, take more than SECONDS of processor time, or let the
process grow above MOST_BYTES.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

SECONDS = 5
MOST_BYTES = 1 << 30
_TOGETHER = 250  # mutants in one process
_ROOM = 4 << 30  # of address space: what asks for more is seen, and harms nobody

Mutant = Callable[[Random, Path], Callable[[], object]]
"""Writes a mutant into an empty folder; what it gives back reads and uses it."""


def main(kind: str, first: int, count: int) -> dict[str, Any]:
    """Try the mutants with the seeds from `first` on, some in each of several processes."""
    _prepare()
    from forethought.models.compiled.available import kernels
    from tests.fuzz.kinds import KINDS

    kernels()  # each mutant has a cache of its own, and would compile them again
    with tempfile.TemporaryDirectory() as place:
        KINDS[kind](Random(0), Path(place))  # makes the originals, which children share
    found: dict[str, Any] = {"kind": kind, "refused": 0, "accepted": 0, "failures": []}
    found["most_bytes"], found["most_seconds"] = 0, 0.0
    seed, end = first, first + count
    while seed < end:
        for result in _in_child(KINDS[kind], seed, min(end, seed + _TOGETHER)):
            seed = result["seed"] + 1
            found["most_bytes"] = max(found["most_bytes"], result.get("bytes", 0))
            found["most_seconds"] = max(found["most_seconds"], result.get("seconds", 0.0))
            if "failure" in result:
                found["failures"].append({"seed": result["seed"], "what": result["failure"]})
            else:
                found[result["outcome"]] += 1
    return found


def _prepare() -> None:
    """Import once what every mutant needs; children share it."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["RUST_BACKTRACE"] = "0"
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"


def _in_child(mutant: Mutant, first: int, end: int) -> list[dict[str, Any]]:
    """The results of some mutants, up to the one that ended the process, if any did."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        with os.fdopen(writing, "w") as out:
            _try_all(mutant, first, end, lambda line: print(json.dumps(line), file=out, flush=True))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as lines:
        results = [json.loads(line) for line in lines]
    status = os.waitpid(child, 0)[1]
    done = [result for result in results if "outcome" in result or "failure" in result]
    begun = first + len(done)
    if status or begun < end:
        done.append({"seed": begun, "failure": _death(status)})
    return done


def _death(status: int) -> str:
    number = os.waitstatus_to_exitcode(status)
    if number == -signal.SIGPROF:
        return f"takes more than {SECONDS} s"
    return f"the process ended with {number}"


def _try_all(mutant: Mutant, first: int, end: int, tell: Callable[[dict[str, Any]], None]) -> None:
    """Runs in the child: a mutant that never returns is ended by the processor's own alarm."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)  # the library's own reports of its panics
    resource.setrlimit(resource.RLIMIT_AS, (_virtual_bytes() + _ROOM,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    base = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
    for seed in range(first, end):
        folder = Path(tempfile.mkdtemp(dir=base))
        try:
            tell({"seed": seed, **_tried(mutant, seed, folder)})
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _tried(mutant: Mutant, seed: int, folder: Path) -> dict[str, Any]:
    from forethought.contracts.errors import ForethoughtError

    try:
        use = mutant(Random(seed), folder)
    except Exception as error:
        return {"failure": f"no mutant was made: {_short(error)}"}
    _reset_peak()
    start = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        use()
        outcome = "accepted"
    except ForethoughtError as error:
        if not error.message or not error.hint:
            return {"failure": f"an error without a hint: {_short(error)}"}
        outcome = "refused"
    except BaseException as error:
        return {"failure": _short(error)}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    seconds = resource.getrusage(resource.RUSAGE_SELF).ru_utime - start
    peak = _peak_bytes()
    if peak > MOST_BYTES:
        return {"failure": f"takes {peak >> 20} MiB"}
    return {"outcome": outcome, "bytes": peak, "seconds": seconds}


def _short(error: BaseException) -> str:
    last = traceback.extract_tb(error.__traceback__)[-4:]
    places = " < ".join(f"{Path(one.filename).name}:{one.lineno}" for one in reversed(last))
    return f"{type(error).__name__}: {str(error)[:200]!r} at {places}"


def _reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _peak_bytes() -> int:
    """The most memory this process had since the peak was reset."""
    return _status("VmHWM")


def _virtual_bytes() -> int:
    return _status("VmSize")


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    for kind in sys.argv[1].split(","):
        print(json.dumps(main(kind, int(sys.argv[2]), int(sys.argv[3]))))

"""Compiles the decode kernels for this machine, once, into the user's cache.

The name of a library is a hash of everything its code depends on: sources, flags, compiler,
processor and torch. A library that does not compile or fails its check leaves an empty file
under its name, so that later runs do not try again.

Code is loaded only from a folder that no other user can write. The folder is opened once and
reached through its descriptor, so that nobody can swap it between the check and the load.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import torch

from forethought.models.sources.model_cache import cache_root

SWITCH = "FORETHOUGHT_COMPILE"
"""The environment variable that turns compiled kernels off, by the value 0."""
_LANES = {"AVX512": 16, "AVX2": 8}
"""Floats of a vector, by torch's name for the layout of its packed 4-bit weights."""
_FLAGS = ("-O3", "-march=native", "-std=gnu11", "-fPIC", "-shared", "-ffp-contract=fast")
_COMPILERS = ("cc", "gcc", "clang")
_MOST_SECONDS = 60

K = TypeVar("K")


def lanes() -> int:
    """Floats of a vector, as torch packs 4-bit weights here; 0 where no kernel can read them."""
    return _LANES.get(torch.backends.cpu.get_cpu_capability(), 0)


def loaded(load: Callable[[Path], K], check: Callable[[K], bool]) -> K | None:
    """The library as `load` makes it, compiled if needed; None where that is impossible.

    `check` decides whether a fresh library computes correctly.
    """
    compiler = next(filter(None, map(shutil.which, _COMPILERS)), None)
    off = os.environ.get(SWITCH) == "0" or sys.platform != "linux"
    if off or compiler is None or not lanes():
        return None
    with suppress(OSError, AttributeError), _private(cache_root() / "kernels") as folder:
        place = Path(f"/proc/self/fd/{folder}") / f"{_key(compiler)}.so"
        if not place.exists():
            import fcntl  # Unix alone has it

            fcntl.flock(folder, fcntl.LOCK_EX)
            if not place.exists():
                _build(compiler, place, lambda fresh: check(load(fresh)))
        return load(place) if place.stat().st_size else None
    return None


@contextmanager
def _private(path: Path) -> Iterator[int]:
    """A descriptor of the folder, made if needed; PermissionError where others can write it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        state = os.fstat(folder)
        if state.st_uid != os.geteuid() or state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError(f"others can write {path}")
        yield folder
    finally:
        os.close(folder)


def _sources() -> list[Path]:
    return sorted(Path(__file__).parent.glob("*.[ch]"))


def _key(compiler: str) -> str:
    state = os.stat(compiler)
    facts = [*_FLAGS, str(lanes()), torch.__version__, platform.machine(), _processor()]
    facts += [os.path.realpath(compiler), str(state.st_size), str(state.st_mtime_ns)]
    parts = [fact.encode() for fact in facts] + [source.read_bytes() for source in _sources()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _processor() -> str:
    """The processor's abilities, as far as the system lists them."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
        return next((line for line in lines if line.startswith("flags")), "")
    return platform.processor()


def _build(compiler: str, place: Path, works: Callable[[Path], bool]) -> None:
    """Put a library that works in place, or else an empty file."""
    code = _compiled(compiler)
    fresh = place.with_name(f".{place.stem}-{os.getpid()}.so")
    try:
        fresh.write_bytes(code)
        if code and not _is_fit(fresh, works):
            fresh.unlink()  # the loader may have mapped it: its bytes stay
            fresh.write_bytes(b"")
        fresh.replace(place)
    finally:
        fresh.unlink(missing_ok=True)


def _is_fit(fresh: Path, works: Callable[[Path], bool]) -> bool:
    try:
        return works(fresh)
    except (OSError, AttributeError):  # it cannot be loaded, or lacks a function
        return False


def _compiled(compiler: str) -> bytes:
    """The library's bytes; none where the sources do not compile.

    Raises OSError where the compiler did not come to an end.
    """
    sources = [str(source) for source in _sources() if source.suffix == ".c"]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "kernels.so"
        command = [compiler, *_FLAGS, f"-DLANES={lanes()}", *sources, "-o", str(target), "-lm"]
        try:
            done = subprocess.run(
                command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_MOST_SECONDS
            )
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(str(error)) from error
        if done.returncode < 0:
            raise ChildProcessError(f"the compiler was ended by signal {-done.returncode}")
        return target.read_bytes() if done.returncode == 0 else b""

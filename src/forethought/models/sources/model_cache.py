"""The cache of converted models: one folder each, complete or absent.

A folder holds `config.json` (a DecoderConfig), `model.safetensors` (canonical tensors),
`tokenizer.json` and `source.json`. Optional files are `chat_template.jinja`, the original GGUF
file, and `decode-*.safetensors`: packed weights, one file per kind of machine that shares the
cache.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from forethought.contracts.errors import MAKE_ANEW, CacheError, DamagedFileError

FORMAT = 2
"""Version of the folder's layout; raised when older folders become unreadable."""

Progress = Callable[[str, int, int], None]
"""Called with (activity, done, total): bytes downloaded or tensors converted."""

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"
TEMPLATE = "chat_template.jinja"
SOURCE = "source.json"
ORIGINAL = "original.gguf"
_CHUNK = 1 << 22


@dataclass(frozen=True)
class Source:
    """The source of a converted model, and token settings that the tokenizer file lacks."""

    origin: str
    """The name, path or hub id it was loaded by."""
    stamp: str
    """A content hash, or a hash of file sizes and times: changes when the source changes."""
    bos: int | None = None
    eos: tuple[int, ...] = ()
    """Tokens that end an answer."""
    add_bos: bool = False
    """Whether a text without a chat template starts with `bos`."""
    tokenizer: str = ""
    """Hash of vocabulary and merges."""
    gguf: str = ""
    """Path of the original GGUF file, if any; relative paths start at the folder."""
    machine: str = ""
    """The machine kind of the first packed 4-bit weights; empty if decoding defaults to bf16."""
    reference: str = ""
    """The folder that transformers runs, if the decoder does not support the model."""
    template: bool = False
    """Whether there is a chat template."""
    notes: tuple[str, ...] = ()
    """Facts about the original that every run of the model reports."""
    format: int = FORMAT

    @classmethod
    def read(cls, folder: Path) -> Source:
        """The record of a converted folder."""
        try:
            values = json.loads((folder / SOURCE).read_text("utf-8"))
            lists = {"eos": tuple(map(int, values["eos"])), "notes": _texts(values)}
            return cls(**{**values, **lists})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise DamagedFileError(
                f"{folder / SOURCE} cannot be read: {error}",
                MAKE_ANEW,
            ) from error

    def write(self, folder: Path) -> None:
        """Write the record atomically."""
        text = json.dumps(asdict(self), indent=1)
        fresh = folder / f".{SOURCE}"
        fresh.write_text(text, "utf-8")
        fresh.replace(folder / SOURCE)


def _texts(values: dict[str, Any]) -> tuple[str, ...]:
    return tuple(map(str, values.get("notes", ())))


def cache_root() -> Path:
    """The folder that FORETHOUGHT_CACHE names, or the user's cache folder on this platform."""
    if chosen := os.environ.get("FORETHOUGHT_CACHE"):
        return Path(chosen).expanduser()
    from platformdirs import user_cache_path  # imports tempfile: 6 ms that few commands need

    return user_cache_path("forethought", appauthor=False, opinion=False)


def read_text(file: Path) -> str:
    """The text of a converted model's file; DamagedFileError if it is unreadable."""
    try:
        return file.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise DamagedFileError(f"{file} cannot be read: {error}", MAKE_ANEW) from error


def place_of(key: str) -> Path:
    """The folder of the converted model `key`, present or not."""
    return cache_root() / "models" / key


def is_current(folder: Path, stamp: str) -> bool:
    """Whether a converted model is present, readable, and up to date with its source."""
    try:
        source = Source.read(folder)
    except DamagedFileError:
        return False
    lost = source.reference and not os.path.isdir(source.reference)
    return source.format == FORMAT and source.stamp == stamp and not lost


@contextmanager
def locked(place: Path) -> Iterator[None]:
    """Hold the lock of `place`, so that no other process changes it."""
    with room_for(place.parent):
        place.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(place.parent / f".{place.name}.lock")
    with room_for(place.parent):
        try:
            lock.acquire()
        except NotImplementedError as error:  # some network file systems have no locks
            raise OSError(str(error)) from error
    try:
        yield
    finally:
        lock.release()


def sweep(place: Path) -> None:
    """Remove what killed processes left of other models than `place`, unless those are locked."""
    models, parts = place.parent, cache_root() / "parts"
    built = [(path.name[1:].partition(".part-")[0], path) for path in models.glob(".*.part-*")]
    fetched = [(path.parent.name, path) for path in parts.glob("*/*.part")]
    for name, stale in (*built, *fetched):
        lock = FileLock(models / f".{name}.lock")
        if name != place.name:
            with suppress(Timeout, OSError), lock.acquire(timeout=0):
                remove(stale)


def remove(path: Path) -> None:
    """Remove a file or a folder as far as possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


@contextmanager
def building(place: Path) -> Iterator[Path]:
    """A fresh folder that replaces `place` on success and is removed on failure.

    Requires the lock of `place`. Removes what killed processes left.
    """
    prefix = f".{place.name}.part-"
    for stale in place.parent.glob(f"{prefix}*"):
        shutil.rmtree(stale, ignore_errors=True)
    with room_for(place.parent):
        fresh = place.parent / f"{prefix}{os.getpid()}"
        fresh.mkdir()
        try:
            yield fresh
            _swap(fresh, place)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def _swap(fresh: Path, place: Path) -> None:
    old = fresh.with_name(f"{fresh.name}-old")
    if place.exists():
        place.rename(old)
    fresh.rename(place)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def room_for(folder: Path) -> Iterator[None]:
    """Turn failed writes below `folder` into a CacheError with advice."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise CacheError(
            f"cannot write the model cache in {folder}: {error.strerror or error}",
            "free some space, or set FORETHOUGHT_CACHE to a folder with room"
            if full
            else "set FORETHOUGHT_CACHE to a folder that you may write",
        ) from error


def copy_hashed(
    parts: Iterator[bytes], target: Path, report: Callable[[int], None] = lambda done: None
) -> str:
    """Write the parts in order; return the SHA-256 of the whole as hex."""
    digest, done = hashlib.sha256(), 0
    with target.open("wb") as file:
        for part in parts:
            digest.update(part)
            file.write(part)
            done += len(part)
            report(done)
    return digest.hexdigest()


def stamp_of(files: list[Path]) -> str:
    """A hash of names, sizes and times of files."""
    digest = hashlib.sha256()
    for file in sorted(files):
        state = file.stat()
        digest.update(f"{file.name} {state.st_size} {state.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def key_for(path: Path) -> str:
    """The cache key of a model at a local path."""
    full = path.expanduser().resolve()
    return f"{full.stem}-{hashlib.sha256(str(full).encode()).hexdigest()[:12]}"

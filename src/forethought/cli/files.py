"""Reports as files: refused before any work is done, written whole or not at all."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from forethought.contracts.errors import UsageError


def check(file: Path, endings: Collection[str]) -> None:
    """Refuse a report that could not be written before anything is asked."""
    if file.suffix not in endings:
        raise UsageError(f"{file} is no report we know", f"end it in {', '.join(endings)}")
    if not file.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {file.absolute().parent}", "make it, or name another")


def write(file: Path, text: str) -> None:
    """Write a file whole; what was there before stays where that fails."""
    fresh = file.with_name(f".{file.name}.part")
    try:
        fresh.write_text(text, encoding="utf-8", newline="")
        fresh.replace(file)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise UsageError(f"cannot write {file}: {error.strerror}", "name another file") from error

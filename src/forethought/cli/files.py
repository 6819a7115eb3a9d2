"""Reports as files: refused before any work is done, written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from forethought.contracts.errors import UsageError


def check(file: Path, endings: Collection[str]) -> None:
    """Refuse a report that could not be written before anything is asked."""
    if file.suffix not in endings:
        raise UsageError(f"{file} is no report we know", f"end it in {', '.join(endings)}")
    folder = file.absolute().parent
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}", "make it, or name another")
    if not os.access(folder, os.W_OK):
        raise UsageError(f"reports cannot be written to {folder}", "name another folder")


def write(file: Path, text: str) -> None:
    """Write a file whole; what was there before stays where that fails."""
    fresh = file.with_name(f".{file.name}.part")
    try:
        # Half a character, as of a file name in another encoding, costs no report.
        fresh.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")
        fresh.replace(file)
    except OSError as error:
        with suppress(OSError):  # where nothing can be written nothing can be removed
            fresh.unlink(missing_ok=True)
        raise UsageError(f"cannot write {file}: {error.strerror}", "name another file") from error

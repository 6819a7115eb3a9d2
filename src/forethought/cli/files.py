"""Report files: checked before any work, and written atomically."""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from forethought.contracts.errors import UsageError


def check(file: Path, endings: Collection[str]) -> None:
    """Raise UsageError for a report that cannot be written."""
    if file.suffix not in endings:
        raise UsageError(
            f"{file} has no known report format", f"use one of the extensions {', '.join(endings)}"
        )
    folder = file.absolute().parent
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}", "create it, or name another")
    if not os.access(folder, os.W_OK):
        raise UsageError(f"reports cannot be written to {folder}", "name another folder")


def write(file: Path, text: str) -> None:
    """Write a file atomically; on failure the old file stays."""
    fresh = file.with_name(f".{file.name}.part")
    try:
        # A lone surrogate, as in a file name of another encoding, must not lose the report.
        fresh.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")
        fresh.replace(file)
    except OSError as error:
        with suppress(OSError):  # a folder that refuses writes refuses removal too
            fresh.unlink(missing_ok=True)
        raise UsageError(f"cannot write {file}: {error.strerror}", "name another file") from error

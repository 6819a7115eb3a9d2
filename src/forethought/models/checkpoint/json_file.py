"""Reads JSON files of models, with a size limit and errors that name the file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from forethought.contracts.errors import DamagedFileError

MOST_BYTES = 1 << 24
"""Bytes of a settings file; published ones stay below a tenth of it."""


def read_text(path: Path, most: int = MOST_BYTES) -> str:
    """The text of a file of limited size, without a byte order mark."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > most:
                raise ValueError(f"it has more than {most:,} bytes")
            return file.read(size).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise DamagedFileError(f"{path} cannot be read: {error}", "fetch it again") from error


def parse_object(text: str, where: str, hint: str = "fetch it again") -> dict[str, Any]:
    """The JSON object in a text; `where` names the text in errors."""
    try:
        values = json.loads(text)
    except RecursionError as error:
        raise DamagedFileError(f"{where}: lists are nested too deep", hint) from error
    except ValueError as error:
        raise DamagedFileError(f"{where} cannot be read: {error}", hint) from error
    if not isinstance(values, dict):
        raise DamagedFileError(f"{where} holds no JSON object", hint)
    return values


def read_json(path: Path, most: int = MOST_BYTES) -> dict[str, Any]:
    """The JSON object in a file of limited size; DamagedFileError if there is none."""
    return parse_object(read_text(path, most), str(path))


def read_optional(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty if the file is missing."""
    return read_json(path) if path.is_file() else {}

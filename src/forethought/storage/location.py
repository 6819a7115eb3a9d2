"""Where samples are kept when no file is named."""

from __future__ import annotations

import os
import sys
from pathlib import Path

VARIABLE = "FORETHOUGHT_RESULTS"


def results_file() -> Path:
    """The file of the environment variable FORETHOUGHT_RESULTS, or one in the user's data."""
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser() if named else _data() / "forethought" / "results.sqlite"


def held(file: Path) -> str:
    """The beginning of a message about answers that a file does not hold: why it does not."""
    return (
        f"{file} holds no answers" if file.exists() else f"there is no file {file}, so no answers"
    )


def _data() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home()))
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")

"""The files that are used when the caller names none."""

from __future__ import annotations

import os
from pathlib import Path

from forethought.contracts.errors import UsageError

VARIABLE = "FORETHOUGHT_RESULTS"
_DEFAULT = "results.sqlite"


def results_file() -> Path:
    """The file that FORETHOUGHT_RESULTS names, or `results.sqlite` in the user's data folder.

    Raises UsageError if the variable names a folder.
    """
    if named := os.environ.get(VARIABLE):
        found = Path(named).expanduser()
        if found.is_dir():
            raise UsageError(
                f"{VARIABLE} names the folder {found}", f"name a file: {found / _DEFAULT}"
            )
        return found
    from platformdirs import user_data_path  # imports tempfile: 6 ms that few commands need

    return user_data_path("forethought", appauthor=False) / _DEFAULT


def served_runs_file() -> Path:
    """The file of the runs that a server answered, beside the results file."""
    return _beside("served-runs.sqlite")


def timings_file() -> Path:
    """The file of the times that finished runs took, beside the results file."""
    return _beside("timings.sqlite")


def probe_file() -> Path:
    """The file of the probe of this machine, in the user's cache."""
    from forethought.models.sources.model_cache import cache_root

    return cache_root() / "hardware.json"


def _beside(name: str) -> Path:
    """A file beside the results file; results files of other names have files of their own."""
    found = results_file()
    own = "" if found.name == _DEFAULT else f"{found.name.removesuffix('.sqlite')}-"
    return found.parent / f"{own}{name}"


def no_answers(file: Path) -> str:
    """The start of an error message: the file lacks answers, or does not exist."""
    return (
        f"{file} holds no answers" if file.exists() else f"there is no file {file}, so no answers"
    )

"""The files that are used when the caller names none."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "FORETHOUGHT_RESULTS"
_DEFAULT = "results.sqlite"


def results_file() -> Path:
    """The file that FORETHOUGHT_RESULTS names, or `results.sqlite` in the user's data folder."""
    if named := os.environ.get(VARIABLE):
        return Path(named).expanduser()
    from platformdirs import user_data_path  # imports tempfile: 6 ms that few commands need

    return user_data_path("forethought", appauthor=False) / _DEFAULT


def served_runs_file() -> Path:
    """The file of the runs that a server answered, beside the results file.

    A results file of another name than the default one has served runs of its own.
    """
    found = results_file()
    own = "" if found.name == _DEFAULT else f"{found.name.removesuffix('.sqlite')}-"
    return found.parent / f"{own}served-runs.sqlite"


def no_answers(file: Path) -> str:
    """The start of an error message: the file lacks answers, or does not exist."""
    return (
        f"{file} holds no answers" if file.exists() else f"there is no file {file}, so no answers"
    )

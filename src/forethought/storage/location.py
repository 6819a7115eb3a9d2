"""The files that are used when the caller names none."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "FORETHOUGHT_RESULTS"


def results_file() -> Path:
    """The file that FORETHOUGHT_RESULTS names, or `results.sqlite` in the user's data folder."""
    if named := os.environ.get(VARIABLE):
        return Path(named).expanduser()
    from platformdirs import user_data_path  # imports tempfile: 6 ms that few commands need

    return user_data_path("forethought", appauthor=False) / "results.sqlite"


def served_runs_file() -> Path:
    """The file of the runs that a server answered, beside the results file."""
    return results_file().parent / "served-runs.sqlite"


def no_answers(file: Path) -> str:
    """The start of an error message: the file lacks answers, or does not exist."""
    return (
        f"{file} holds no answers" if file.exists() else f"there is no file {file}, so no answers"
    )

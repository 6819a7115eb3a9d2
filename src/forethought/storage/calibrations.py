"""The file of calibrations, which answers name and `tune --calibrate` writes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from forethought.contracts.calibration import Calibration, calibrations_text, read_calibrations
from forethought.contracts.errors import UsageError
from forethought.storage.location import results_file

CALIBRATIONS = "FORETHOUGHT_CALIBRATIONS"
_DEFAULT = "calibrations.json"


def calibrations_file() -> Path:
    """The file that FORETHOUGHT_CALIBRATIONS names, or one beside the results file."""
    if named := os.environ.get(CALIBRATIONS):
        return Path(named).expanduser()
    return results_file().parent / _DEFAULT


def stored_calibrations(file: Path | None = None) -> list[Calibration]:
    """The calibrations of a file, by default the usual one; none if there is no file."""
    where = file or calibrations_file()
    try:
        text = where.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {where}: {error}", "name another file") from error
    return read_calibrations(text, str(where))


def add_calibrations(fresh: Sequence[Calibration], file: Path | None = None) -> Path:
    """Write calibrations in the place of older ones of the same answers and method."""
    where = file or calibrations_file()
    named = {(one.answers, one.method) for one in fresh}
    kept = [one for one in stored_calibrations(where) if (one.answers, one.method) not in named]
    part = where.with_name(f".{where.name}.part")
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(calibrations_text([*kept, *fresh]), encoding="utf-8")
        part.replace(where)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise UsageError(f"cannot write {where}: {error.strerror}", "name another file") from error
    return where

"""Timings of finished runs on this machine: a small table of numbers beside the results file.

It holds no text of questions or answers. Beyond its limit, the oldest timings leave it.
"""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from forethought.contracts.errors import StoreError
from forethought.storage.store_file import FileKind, open_file, reporting

MOST = 2000
"""Timings that a file holds."""
PATIENCE = 1.0
"""Seconds to wait for another process's write."""

_FILE = FileKind(
    noun="timings file",
    application=0x46545449,  # "FTTI" in ASCII
    version=1,
    tables=(
        """
        CREATE TABLE timings (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            machine TEXT NOT NULL,
            timing TEXT NOT NULL
        )
        """,
        "CREATE INDEX by_machine ON timings (machine, number)",
    ),
)


@dataclass(frozen=True)
class RunTiming:
    """The times of a run, and the sizes that explain them."""

    model: str
    draft: str
    """The draft model; `self` is the model itself."""
    methods: tuple[str, ...]
    weights: str
    """The format that decode used."""
    rows: int
    """Sequences that decoded at once."""
    prompt: int
    """Tokens of the whole prompt."""
    output: int
    """Tokens of each answer, on average."""
    first_token: float
    """Seconds of all stages before decode."""
    decode: float
    """Seconds of all decode steps; 0 if they are not those of `rows` sequences."""
    alone: bool = True
    """Whether the run had the process to itself, as a question on the command line has."""


def keep_timing(file: Path, machine: str, timing: RunTiming) -> None:
    """Add a timing to the file; raises StoreError if it cannot be written."""
    with closing(open_file(file, PATIENCE, _FILE)) as connection, reporting(file, _FILE):
        added = connection.execute(
            "INSERT INTO timings (machine, timing) VALUES (?, ?)",
            (machine, json.dumps(asdict(timing))),
        )
        oldest = (added.lastrowid or 0) - MOST
        connection.execute("DELETE FROM timings WHERE number <= ?", (oldest,))


def read_timings(file: Path, machine: str, limit: int = MOST) -> list[RunTiming]:
    """The newest timings of a machine, newest first; none if there is no file."""
    if not file.is_file():
        return []
    with closing(open_file(file, PATIENCE, _FILE)) as connection, reporting(file, _FILE):
        rows = connection.execute(
            "SELECT timing FROM timings WHERE machine = ? ORDER BY number DESC LIMIT ?",
            (machine, limit),
        ).fetchall()
    return [_timing(file, text) for (text,) in rows]


def _timing(file: Path, text: str) -> RunTiming:
    try:
        held = json.loads(text)
        known = {field.name: held[field.name] for field in fields(RunTiming)}
        return RunTiming(**{**known, "methods": tuple(known["methods"])})
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"the timings file {file} is damaged: a timing cannot be read ({error})",
            "move the file away; it fills again",
        ) from error

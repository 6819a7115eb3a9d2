"""The log of runs: documents, events and prompts in one SQLite file of bounded size.

`record` returns once the run is on disk, so a killed process loses no recorded run. Once the log
exceeds its limit, the oldest runs leave it.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from forethought.contracts.errors import StoreError
from forethought.contracts.records import Event
from forethought.storage.store_file import FileKind, open_file, reporting

MOST_BYTES = 256 << 20
"""Default limit of all recorded runs together, compressed."""
PATIENCE = 5.0
"""Seconds to wait for another process's write."""
PREVIEW = 200
"""Characters of a question or an answer in a list of runs."""

_FILE = FileKind(
    noun="run log",
    application=0x4654524C,  # "FTRL" in ASCII
    version=1,
    tables=(
        """
        CREATE TABLE runs (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            tenant TEXT NOT NULL,
            size INTEGER NOT NULL,
            summary TEXT NOT NULL,
            content BLOB NOT NULL
        )
        """,
        "CREATE INDEX by_size ON runs (number, size)",
        "CREATE INDEX by_tenant ON runs (tenant, number)",
    ),
)
_FREE = """
DELETE FROM runs WHERE number IN (
    SELECT number FROM (SELECT number, SUM(size) OVER (ORDER BY number DESC) AS held FROM runs)
    WHERE held > ?
)
"""


@dataclass(frozen=True)
class ServedRun:
    """A run that has ended, with everything that a replay needs."""

    id: str
    """The id of the response, which must hold an unguessable part such as a UUID."""
    created: float
    """Seconds since 1970."""
    events: Sequence[Event]
    """All events of the run, in order. The last one is `done` and holds the run's document, or it
    is the `error` that ended the run."""
    question: str = ""
    """The question; empty if the server keeps no prompts."""
    prompt: Mapping[str, Any] | None = None
    """The texts of the prompt's tokens; see `server/page_data.py`."""
    tenant: str = ""
    """The partition of the caller; runs of other tenants are invisible to it."""
    failed: Mapping[str, Any] | None = None
    """For a run that an error ended: its recipe, settings, seed and decoded tokens."""

    @property
    def answer(self) -> str:
        """The text of the first answer; for a failed run, as far as it came."""
        if self.failed is None:
            return str(self.document["answer"])
        return first_answer(self.events)

    @property
    def document(self) -> dict[str, Any]:
        """The document of the run."""
        assert self.events[-1].kind == "done", (
            "a run is recorded once it has ended, and a failed one has no document"
        )
        document: dict[str, Any] = self.events[-1].data["run"]
        return document

    def summary(self) -> dict[str, Any]:
        """The entry of this run in a list of runs."""
        known = {"id": self.id, "created": self.created, "question": self.question[:PREVIEW]}
        if self.failed is not None:
            answer, error = self.answer[:PREVIEW], self.events[-1].data
            return {**known, "state": "failed", "answer": answer, **self.failed, "error": error}
        run = self.document
        kept = {k: v for k, v in run["kept"].items() if k not in ("positions", "shares")}
        names = ("recipe", "settings", "seed", "finish", "cost", "exact", "timing", "confidence")
        told = {name: run[name] for name in names}
        return {**known, "answer": self.answer[:PREVIEW], "kept": kept, **told}


def first_answer(events: Sequence[Event]) -> str:
    """The text of a run's first answer so far; a search has none before its end."""
    told = (event.data for event in events if event.kind == "token")
    return "".join(data["text"] for data in told if not data["candidate"])


@dataclass(frozen=True)
class RunLog:
    """The runs of one file. Threads may share it; close it after use."""

    path: Path
    connection: sqlite3.Connection
    most_bytes: int = MOST_BYTES
    _lock: Lock = field(default_factory=Lock)

    @classmethod
    def open(cls, path: Path | str, most_bytes: int = MOST_BYTES) -> RunLog:
        """Open the log at `path`; a missing file is created."""
        place = Path(path)
        return cls(place, open_file(place, PATIENCE, _FILE), most_bytes)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self.connection.close()

    def record(self, run: ServedRun) -> None:
        """Write a run and delete the oldest ones beyond the limit; the run is then on disk.

        A run that exceeds the limit alone is left out.
        """
        summary, content = json.dumps(run.summary()), _packed(run)
        size = len(summary) + len(content)
        if size > self.most_bytes:
            return
        with self._writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO runs (id, tenant, size, summary, content)"
                " VALUES (?, ?, ?, ?, ?)",
                (run.id, run.tenant, size, summary, content),
            )
            connection.execute(_FREE, (self.most_bytes,))

    def get(self, identifier: str, tenant: str = "") -> ServedRun | None:
        """The run of this id, or None if the log does not hold it for this tenant."""
        rows = self._rows(
            "SELECT content FROM runs WHERE id = ? AND tenant = ?", (identifier, tenant)
        )
        return self._unpacked(rows[0][0]) if rows else None

    def summaries(self, tenant: str = "", limit: int = 200) -> list[dict[str, Any]]:
        """The newest runs of a tenant, newest first, without events and prompts."""
        rows = self._rows(
            "SELECT summary FROM runs WHERE tenant = ? ORDER BY number DESC LIMIT ?",
            (tenant, limit),
        )
        return [json.loads(summary) for (summary,) in rows]

    def size(self) -> int:
        """The bytes of all recorded runs."""
        ((total,),) = self._rows("SELECT COALESCE(SUM(size), 0) FROM runs", ())
        return int(total)

    def _rows(self, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with self._lock, reporting(self.path, _FILE):
            return self.connection.execute(query, values).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that other threads wait for."""
        with self._lock, reporting(self.path, _FILE):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            finally:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")

    def _unpacked(self, content: bytes) -> ServedRun:
        try:
            held = json.loads(zlib.decompress(content))
        except (zlib.error, ValueError) as error:
            raise StoreError(
                f"the run log {self.path} is damaged: a run cannot be read ({error})",
                "move the file away and start again",
            ) from error
        events = tuple(Event(**one) for one in held.pop("events"))
        return ServedRun(**held, events=events)


def _packed(run: ServedRun) -> bytes:
    held = {**vars(run), "events": [asdict(event) for event in run.events]}
    # ASCII escapes: a half surrogate in a text has no UTF-8 form.
    return zlib.compress(json.dumps(held, separators=(",", ":")).encode("ascii"), 6)

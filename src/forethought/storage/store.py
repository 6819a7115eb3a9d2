"""The results store: samples in one SQLite file that survives a kill at any moment.

`put` returns once the sample is on disk. Several processes may write at once; threads of one
process must take turns. The file must not lie on a network drive.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any

from forethought.contracts.errors import StoreError
from forethought.contracts.questions import Sample
from forethought.recipes.identity import (
    QUESTION_HASH,
    REVISIONS,
    question_hash,
    revisions,
    sample_key,
    sample_seed,
)
from forethought.storage.holdouts import StoredHoldouts
from forethought.storage.replay_log import StoredReplayLog
from forethought.storage.request_seconds import RequestSeconds
from forethought.storage.store_file import columns, open_file, reporting

__all__ = ["QUESTION_HASH", "Store", "question_hash", "sample_key", "sample_seed"]

PATIENCE = 30.0
"""Seconds to wait for another process's write."""

_NAMES = tuple(field.name for field in fields(Sample))  # also the column names
_ORDER = "ORDER BY recipe, task, question, number, key"


@dataclass(frozen=True)
class Store:
    """The samples of one file. Use it in a `with` statement, or `close` it."""

    path: Path
    connection: sqlite3.Connection
    names: tuple[str, ...] = _NAMES
    """The columns; a read-only file of an earlier version lacks the newest ones."""

    @classmethod
    def open(cls, path: Path | str, patience: float = PATIENCE) -> Store:
        """Open the store at `path`; a missing file is created.

        `patience` is the time in seconds to wait for other writers.
        """
        place = Path(path)
        connection = open_file(place, patience)
        with reporting(place):
            known = columns(connection, "samples")
        return cls(place, connection, tuple(name for name in _NAMES if name in known))

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def replay_log(self) -> StoredReplayLog:
        """The replay log of searches, in the same file."""
        return StoredReplayLog(self.path, self.connection)

    def request_seconds(self) -> RequestSeconds:
        """Measured seconds of requests, in the same file."""
        return RequestSeconds(self.path, self.connection)

    def holdouts(self) -> StoredHoldouts:
        """The states of reusable holdouts, in the same file."""
        return StoredHoldouts(self.path, self.connection)

    def has(self, key: str) -> bool:
        """Whether a sample with this key is stored."""
        return bool(self._rows("SELECT 1 FROM samples WHERE key = ?", (key,)))

    def get(self, key: str) -> Sample | None:
        """The sample with this key, or None; `run` and `provenance` are plain JSON values."""
        rows = self._rows(f"SELECT {self._columns} FROM samples WHERE key = ?", (key,))
        return self._sample(rows[0]) if rows else None

    def put(self, sample: Sample) -> Sample:
        """Store a sample and return the stored one: the first sample with a key stays.

        Processes that share a file thus share its answers. `answer_content` tells whether two
        samples of one key agree. The returned sample is on disk.
        """
        row = self._row(sample)
        marks = ", ".join("?" * len(row))
        with reporting(self.path):
            kept = self.connection.execute(
                f"INSERT INTO samples ({self._columns}) VALUES ({marks})"
                " ON CONFLICT (key) DO NOTHING",
                row,
            )
        first = None if kept.rowcount else self.get(sample.key)
        if first is None:
            return self._sample(row)
        if _place(first) != _place(sample):
            raise StoreError(
                f"{self.path} holds {_named(first)} under the key of {_named(sample)}",
                "move the file away and run again; keep it if others are to look at it",
            )
        return first

    def samples(
        self,
        recipes: Collection[str] | None = None,
        tasks: Collection[str] | None = None,
        *,
        scored: bool = True,
    ) -> list[Sample]:
        """The samples of these recipes and tasks (all if None).

        They are sorted by recipe, task, question and number. Samples of an earlier revision of a
        method are left out, since their recipe's spelling now means another computation. With
        `scored`, so are answers that scores leave out.
        """
        chosen = {"recipe": recipes, "task": tasks}
        wanted = {name: json.dumps(list(v)) for name, v in chosen.items() if v is not None}
        tests = [f"{name} IN (SELECT value FROM json_each(?))" for name in wanted]
        where = f"WHERE {' AND '.join(tests)}" if tests else ""
        query = f"SELECT {self._columns} FROM samples {where} {_ORDER}"
        every = map(self._sample, self._rows(query, tuple(wanted.values())))
        found = (one for one in every if one.scored or not scored)
        return [one for one in found if one.provenance.get(REVISIONS, "") == revisions(one.recipe)]

    def counts(self) -> dict[tuple[str, str], int]:
        """The number of samples by recipe and task."""
        query = "SELECT recipe, task, COUNT(*) FROM samples GROUP BY recipe, task ORDER BY 1, 2"
        return {(recipe, task): count for recipe, task, count in self._rows(query, ())}

    @property
    def _columns(self) -> str:
        return ", ".join(self.names)

    def _rows(self, query: str, values: tuple[str, ...]) -> list[tuple[Any, ...]]:
        with reporting(self.path):
            return self.connection.execute(query, values).fetchall()

    def _row(self, sample: Sample) -> tuple[Any, ...]:
        if not 0 <= sample.score <= 1:  # true for NaN too
            raise StoreError(
                f"the score {sample.score} of {_named(sample)} is not between 0 and 1",
                "have the task's checker return a share",
            )
        row = {name: getattr(sample, name) for name in self.names}
        row["score"] = float(sample.score)
        for name in ("run", "provenance"):
            with _writing(sample, name):
                row[name] = json.dumps(dict(row[name]))
        for name in ("key", "recipe", "task", "question", "cluster"):
            with _writing(sample, name):
                row[name].encode("utf-8")
        return tuple(row.values())

    def _sample(self, row: tuple[Any, ...]) -> Sample:
        values = dict(zip(self.names, row, strict=True))
        try:
            values |= {name: json.loads(values[name]) for name in ("run", "provenance")}
        except json.JSONDecodeError as error:
            raise StoreError(
                f"{self.path} is damaged: sample {values['key']} cannot be read ({error})",
                "move the file away and run again; keep it if others are to look at it",
            ) from error
        return Sample(**values)


def answer_content(sample: Sample) -> tuple[object, ...]:
    """The content by which two samples of one key are compared.

    It leaves out cost, timing, notes and provenance: seconds, bytes moved and peak cache bytes
    depend on the batch in which a sample ran.
    """
    run = sample.run
    texts = [one["text"] for one in run.get("candidates", ())]
    return sample.score, run.get("answer"), run.get("finish"), texts


def _place(sample: Sample) -> tuple[str, str, int]:
    """The parts of a key except the recipe, which may have several spellings."""
    return sample.task, sample.question, sample.number


def _named(sample: Sample) -> str:
    return f"question {sample.question} of {sample.task} by {sample.recipe}"


@contextmanager
def _writing(sample: Sample, name: str) -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError) as error:
        raise StoreError(
            f"the {name} of {_named(sample)!a} cannot be written: {error}",
            "hand out plain JSON values and valid Unicode",
        ) from error

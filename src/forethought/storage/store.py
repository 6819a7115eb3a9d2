"""Samples on disk, in one SQLite file that survives being killed at any moment.

A sample is on the disk before `put` returns. Several processes may write at once; within a
process a store may be used from any thread, but from one at a time. The file must not lie on a
network drive.
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
from forethought.recipes.identity import QUESTION_HASH, question_hash, sample_key, sample_seed
from forethought.storage.replay_log import StoredReplayLog
from forethought.storage.store_file import open_file, reporting

__all__ = ["QUESTION_HASH", "Store", "question_hash", "sample_key", "sample_seed"]

PATIENCE = 30.0
"""Seconds to wait for another process that is writing."""

_NAMES = tuple(field.name for field in fields(Sample))  # the columns too
_COLUMNS = ", ".join(_NAMES)
_ORDER = "ORDER BY recipe, task, question, number, key"


@dataclass(frozen=True)
class Store:
    """The samples of one file; use it in a `with` statement, or `close` it."""

    path: Path
    connection: sqlite3.Connection

    @classmethod
    def open(cls, path: Path | str, patience: float = PATIENCE) -> Store:
        """The store in the file at `path`, which is made if there is none.

        `patience` is how many seconds to wait for other processes that write to it.
        """
        place = Path(path)
        return cls(place, open_file(place, patience))

    def close(self) -> None:
        """Let go of the file."""
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
        """Where searches keep what they asked for, in the same file."""
        return StoredReplayLog(self.path, self.connection)

    def has(self, key: str) -> bool:
        """Whether the sample of that name is kept."""
        return bool(self._rows("SELECT 1 FROM samples WHERE key = ?", (key,)))

    def get(self, key: str) -> Sample | None:
        """The sample of that name, as plain JSON values; None where there is none."""
        rows = self._rows(f"SELECT {_COLUMNS} FROM samples WHERE key = ?", (key,))
        return self._sample(rows[0]) if rows else None

    def put(self, sample: Sample) -> Sample:
        """Keep a sample: it, or the one that was first with its key, is on the disk once this
        returns, and is given back.

        Whoever shares a file shares its answers: so the first stays, whatever another process
        found meanwhile. `answer_content` tells whether both say the same.
        """
        row = self._row(sample)
        marks = ", ".join("?" * len(row))
        with reporting(self.path):
            kept = self.connection.execute(
                f"INSERT INTO samples ({_COLUMNS}) VALUES ({marks}) ON CONFLICT (key) DO NOTHING",
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
        self, recipes: Collection[str] | None = None, tasks: Collection[str] | None = None
    ) -> list[Sample]:
        """What is kept of these recipes and tasks (of all, where None).

        Ordered by recipe, task, question and number, whatever the order of writing was.
        """
        chosen = {"recipe": recipes, "task": tasks}
        wanted = {name: json.dumps(list(v)) for name, v in chosen.items() if v is not None}
        tests = [f"{name} IN (SELECT value FROM json_each(?))" for name in wanted]
        where = f"WHERE {' AND '.join(tests)}" if tests else ""
        query = f"SELECT {_COLUMNS} FROM samples {where} {_ORDER}"
        return [self._sample(row) for row in self._rows(query, tuple(wanted.values()))]

    def counts(self) -> dict[tuple[str, str], int]:
        """How many samples are kept, by recipe and task."""
        query = "SELECT recipe, task, COUNT(*) FROM samples GROUP BY recipe, task ORDER BY 1, 2"
        return {(recipe, task): count for recipe, task, count in self._rows(query, ())}

    def _rows(self, query: str, values: tuple[str, ...]) -> list[tuple[Any, ...]]:
        with reporting(self.path):
            return self.connection.execute(query, values).fetchall()

    def _row(self, sample: Sample) -> tuple[Any, ...]:
        if not 0 <= sample.score <= 1:  # also where it is no number
            raise StoreError(
                f"the score {sample.score} of {_named(sample)} is not between 0 and 1",
                "have the task's checker return a share",
            )
        row = {name: getattr(sample, name) for name in _NAMES}
        row["score"] = float(sample.score)
        for name in ("run", "provenance"):
            with _writing(sample, name):
                row[name] = json.dumps(dict(row[name]))
        for name in ("key", "recipe", "task", "question", "cluster"):
            with _writing(sample, name):
                row[name].encode("utf-8")
        return tuple(row.values())

    def _sample(self, row: tuple[Any, ...]) -> Sample:
        values = dict(zip(_NAMES, row, strict=True))
        try:
            values |= {name: json.loads(values[name]) for name in ("run", "provenance")}
        except json.JSONDecodeError as error:
            raise StoreError(
                f"{self.path} is damaged: sample {values['key']} cannot be read ({error})",
                "move the file away and run again; keep it if others are to look at it",
            ) from error
        return Sample(**values)


def answer_content(sample: Sample) -> tuple[object, ...]:
    """What makes two samples of one key the same answer.

    What it cost or took is not in it, nor what was noted of it or which machine wrote it: seconds,
    bytes moved and the peak of the cache depend on what else was asked at the same time.
    """
    run = sample.run
    texts = [one["text"] for one in run.get("candidates", ())]
    return sample.score, run.get("answer"), run.get("finish"), texts


def _place(sample: Sample) -> tuple[str, str, int]:
    """What its key names, but for the recipe: one recipe may have several spellings."""
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

"""Measured seconds of a request in a results file, by key."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forethought.storage.store_file import reporting


@dataclass
class RequestSeconds:
    """The seconds of one results file, each on disk before its use."""

    path: Path
    connection: sqlite3.Connection
    _ready: bool = False

    def get(self, key: str) -> float | None:
        """The seconds with this key, or None."""
        rows = self._execute("SELECT seconds FROM request_seconds WHERE key = ?", (key,))
        return float(rows[0][0]) if rows else None

    def put(self, key: str, seconds: float) -> None:
        """Store seconds, unless their key is already stored."""
        self._execute(
            "INSERT INTO request_seconds (key, seconds) VALUES (?, ?) ON CONFLICT (key) DO NOTHING",
            (key, seconds),
        )

    def _execute(self, query: str, values: Sequence[Any]) -> list[Any]:
        with reporting(self.path):
            if not self._ready:
                self.connection.execute(
                    "CREATE TABLE IF NOT EXISTS request_seconds "
                    "(key TEXT PRIMARY KEY, seconds REAL NOT NULL) WITHOUT ROWID"
                )
                self._ready = True
            return self.connection.execute(query, values).fetchall()

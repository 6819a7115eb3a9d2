"""States of reusable holdouts in a results file, so that looks are charged across commands."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from forethought.storage.store_file import reporting

Found = TypeVar("Found")


@dataclass(frozen=True)
class StoredHoldouts:
    """States by name, as texts."""

    path: Path
    connection: sqlite3.Connection

    def update(self, name: str, change: Callable[[str | None], tuple[str, Found]]) -> Found:
        """Replace a state by the first result of `change`, and return its second.

        `change` gets the stored state, None before the first. No other process writes meanwhile.
        If it raises, the state stays.
        """
        with reporting(self.path):
            self.connection.execute(
                "CREATE TABLE IF NOT EXISTS holdouts "
                "(name TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID"
            )
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                query = "SELECT state FROM holdouts WHERE name = ?"
                rows = self.connection.execute(query, (name,)).fetchall()
                state, found = change(rows[0][0] if rows else None)
                self.connection.execute("REPLACE INTO holdouts VALUES (?, ?)", (name, state))
                self.connection.execute("COMMIT")
            finally:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
        return found

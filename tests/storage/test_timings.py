"""The table of timings: kept by machine, bounded, and without texts."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from forethought.contracts.errors import StoreError
from forethought.storage import timings
from forethought.storage.timings import RunTiming, keep_timing, read_timings

ONE = RunTiming("m", "self", ("snapkv(keep=64)",), "bf16", 1, 2000, 40, 1.5, 0.8)


def test_timings_of_a_machine_come_back_newest_first(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "t.sqlite"
    assert read_timings(file, "here") == []
    assert not file.exists()

    for seconds in (1.0, 2.0, 3.0):
        keep_timing(file, "here", replace(ONE, first_token=seconds))
    keep_timing(file, "elsewhere", ONE)

    assert [one.first_token for one in read_timings(file, "here")] == [3, 2, 1]
    assert read_timings(file, "here", limit=1) == [replace(ONE, first_token=3.0)]
    assert read_timings(file, "elsewhere") == [ONE]


def test_the_oldest_leave_a_full_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timings, "MOST", 2)
    file = tmp_path / "t.sqlite"

    for seconds in (1.0, 2.0, 3.0):
        keep_timing(file, "here", replace(ONE, first_token=seconds))

    assert [one.first_token for one in read_timings(file, "here")] == [3, 2]


@pytest.mark.parametrize("text", ["{", "{}", "3"])
def test_a_damaged_timing_is_an_error(tmp_path: Path, text: str) -> None:
    file = tmp_path / "t.sqlite"
    keep_timing(file, "here", ONE)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE timings SET timing = ?", (text,))
        connection.commit()

    with pytest.raises(StoreError, match="a timing cannot be read"):
        read_timings(file, "here")

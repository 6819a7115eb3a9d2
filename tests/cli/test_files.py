"""Reports that cannot be written."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from forethought.cli import files
from forethought.contracts.errors import UsageError


def test_where_nothing_can_be_written_or_removed_it_is_said_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def read_only(*unused: object, **settings: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "write_text", read_only)
    monkeypatch.setattr(Path, "unlink", read_only)
    with pytest.raises(UsageError, match=r"cannot write .*r.html: Read-only file system"):
        files.write(tmp_path / "r.html", "text")


def test_what_was_there_stays_where_a_report_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "r.html"
    file.write_text("before")

    def full(*unused: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(UsageError, match="No space left"):
        files.write(file, "after")
    assert [one.name for one in tmp_path.iterdir()] == ["r.html"]
    assert file.read_text() == "before"


def test_a_folder_that_nothing_can_be_written_to_is_refused_before_any_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(files.os, "access", lambda folder, how: False)
    with pytest.raises(UsageError, match="reports cannot be written to"):
        files.check(tmp_path / "r.html", {".html"})


def test_half_a_character_costs_no_report(tmp_path: Path) -> None:
    files.write(tmp_path / "r.md", "é of \udcff")

    assert (tmp_path / "r.md").read_bytes() == "é of \\udcff".encode()

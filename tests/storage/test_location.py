from __future__ import annotations

import sys
from pathlib import Path

import pytest

from forethought.contracts.errors import UsageError
from forethought.models.sources.model_cache import cache_root
from forethought.storage.location import results_file

OWN = ("FORETHOUGHT_RESULTS", "FORETHOUGHT_CACHE", "XDG_DATA_HOME", "XDG_CACHE_HOME")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in OWN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other folders")
def test_files_of_earlier_versions_are_found_where_they_were(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert results_file() == home / ".local/share/forethought/results.sqlite"
    assert cache_root() == home / ".cache/forethought"

    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))

    assert results_file() == home / "data/forethought/results.sqlite"
    assert cache_root() == home / "cache/forethought"


def test_our_own_variables_come_first(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    monkeypatch.setenv("FORETHOUGHT_RESULTS", "~/mine.sqlite")
    monkeypatch.setenv("FORETHOUGHT_CACHE", "~/models")

    assert results_file() == home / "mine.sqlite"
    assert cache_root() == home / "models"
    assert not list(home.iterdir())  # naming a folder makes none


def test_a_folder_is_no_results_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORETHOUGHT_RESULTS", str(home))

    with pytest.raises(UsageError, match="FORETHOUGHT_RESULTS names the folder") as told:
        results_file()
    assert told.value.hint == f"name a file: {home / 'results.sqlite'}"

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from forethought.contracts.errors import CacheError, DamagedFileError
from forethought.models.sources import model_cache
from forethought.models.sources.model_cache import Source, building, is_current, locked


def test_the_cache_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FORETHOUGHT_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert model_cache.cache_root() == tmp_path / "xdg/forethought"

    monkeypatch.setenv("FORETHOUGHT_CACHE", str(tmp_path / "own"))
    assert model_cache.cache_root() == tmp_path / "own"


def test_a_folder_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    place = tmp_path / "model"
    with building(place) as fresh:
        (fresh / "weights").write_text("1")
        assert not place.exists()

    assert (place / "weights").read_text() == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_failed_build_leaves_the_old_folder_and_nothing_else(tmp_path: Path) -> None:
    place = tmp_path / "model"
    place.mkdir()
    (place / "weights").write_text("old")

    def build() -> None:
        with building(place) as fresh:
            (fresh / "weights").write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        build()

    assert (place / "weights").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_build_replaces_what_was_there_and_sweeps_left_overs(tmp_path: Path) -> None:
    place = tmp_path / "model"
    for left in (place, tmp_path / ".model.part-1"):
        left.mkdir()
        (left / "weights").write_text("old")

    with building(place) as fresh:
        (fresh / "weights").write_text("new")

    assert (place / "weights").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_lock_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    order: list[str] = []
    entered = threading.Event()

    def second() -> None:
        entered.set()
        with locked(tmp_path / "model"):
            order.append("second")

    thread = threading.Thread(target=second)
    with locked(tmp_path / "model"):
        thread.start()
        entered.wait()
        thread.join(0.2)
        order.append("first")
    thread.join()

    assert order == ["first", "second"]


def test_a_folder_is_current_until_its_origin_changes(tmp_path: Path) -> None:
    Source("tiny", "stamp", eos=(2,), notes=("guessed",)).write(tmp_path)

    assert is_current(tmp_path, "stamp")
    assert not is_current(tmp_path, "another")
    assert not is_current(tmp_path / "absent", "stamp")
    assert Source.read(tmp_path).eos == (2,)
    assert Source.read(tmp_path).notes == ("guessed",)


def test_a_damaged_record_counts_as_absent(tmp_path: Path) -> None:
    (tmp_path / "source.json").write_text("{")

    assert not is_current(tmp_path, "stamp")
    with pytest.raises(DamagedFileError):
        Source.read(tmp_path)


def test_a_cache_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(CacheError) as caught, locked(tmp_path / "file/models/model"):
        pass

    assert "FORETHOUGHT_CACHE" in caught.value.hint


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "free some space"),
        (errno.EROFS, "that you may write"),
        (errno.EACCES, "that you may write"),
    ],
)
def test_only_a_full_disk_is_to_be_freed(code: int, hint: str, tmp_path: Path) -> None:
    with pytest.raises(CacheError) as caught, model_cache.room_for(tmp_path):
        raise OSError(code, os.strerror(code))

    assert hint in caught.value.hint
    assert os.strerror(code) in caught.value.message

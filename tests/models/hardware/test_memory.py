"""Room for KV caches: half of the memory that is free."""

from pathlib import Path

import torch

from forethought.models.hardware import memory


def test_half_of_the_available_memory_is_for_caches(tmp_path: Path) -> None:
    file = tmp_path / "meminfo"
    file.write_text("MemTotal:  64 kB\nMemFree:  2 kB\nMemAvailable:  30 kB\n")
    assert memory._available(file) == 30 * 1024 // 2


def test_a_system_that_does_not_tell_sets_no_limit(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("MemTotal:  64 kB\n")
    assert memory._available(tmp_path / "other") is None
    assert memory._available(tmp_path / "none") is None


def test_this_machine_has_some_room() -> None:
    room = memory.cache_room(torch.device("cpu"))
    assert room is None or room > 1 << 20

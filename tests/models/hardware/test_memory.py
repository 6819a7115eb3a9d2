"""Room for KV caches: half of the memory that is free; unused memory goes back."""

import platform
from pathlib import Path

import pytest
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


def anonymous_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
def test_freed_memory_goes_back_to_the_system() -> None:
    memory.trim_memory()
    blocks = [bytes(60_000) for _ in range(3000)]
    for block in blocks[::100]:
        assert block[0] == 0
    last = blocks[-1:]  # the heap cannot shrink below it
    del block, blocks
    before = anonymous_bytes()

    memory.trim_memory()

    assert before - anonymous_bytes() > 90_000_000
    assert len(last[0]) == 60_000

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from forethought.models.hardware import native_settings
from forethought.models.hardware.native_settings import allowed_cores, bound_caches, settle


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_settings, "present_cores", lambda: 8)


def system(root: Path, membership: str, **files: str) -> Path:
    """A system's control groups, as files below `root`."""
    for name, text in {"proc/self/cgroup": membership, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    return root


@pytest.mark.usefixtures("eight_cores")
class TestQuota:
    def test_without_control_groups_all_cores_are_used(self, tmp_path: Path) -> None:
        assert allowed_cores(tmp_path) == 8

    @pytest.mark.parametrize(
        ("quota", "cores"),
        [("max 100000", 8), ("200000 100000", 2), ("150000 100000", 2), ("1000 100000", 1)],
    )
    def test_the_unified_hierarchy(self, tmp_path: Path, quota: str, cores: int) -> None:
        root = system(tmp_path, "0::/work", **{"sys/fs/cgroup/work/cpu.max": quota})
        assert allowed_cores(root) == cores

    def test_the_tightest_group_above_counts(self, tmp_path: Path) -> None:
        root = system(
            tmp_path,
            "0::/outer/inner",
            **{
                "sys/fs/cgroup/outer/inner/cpu.max": "400000 100000",
                "sys/fs/cgroup/outer/cpu.max": "300000 100000",
            },
        )
        assert allowed_cores(root) == 3

    def test_inside_a_container_the_mount_is_its_own_group(self, tmp_path: Path) -> None:
        root = system(tmp_path, "0::/../../host/name", **{"sys/fs/cgroup/cpu.max": "100000 100000"})
        assert allowed_cores(root) == 1

    @pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
    def test_the_legacy_hierarchy(self, tmp_path: Path, mount: str) -> None:
        folder = f"sys/fs/cgroup/{mount}/docker/7f"
        root = system(
            tmp_path,
            "5:cpuset:/\n4:cpu,cpuacct:/docker/7f\n0::/",
            **{f"{folder}/cpu.cfs_quota_us": "250000", f"{folder}/cpu.cfs_period_us": "100000"},
        )
        assert allowed_cores(root) == 3

    @pytest.mark.parametrize("quota", ["-1", "", "nonsense"])
    def test_a_legacy_group_without_a_limit(self, tmp_path: Path, quota: str) -> None:
        root = system(
            tmp_path,
            "4:cpu:/",
            **{
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": quota,
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
        )
        assert allowed_cores(root) == 8

    def test_a_period_of_nothing_is_no_limit(self, tmp_path: Path) -> None:
        root = system(tmp_path, "0::/", **{"sys/fs/cgroup/cpu.max": "100000 0"})
        assert allowed_cores(root) == 8


def test_threads_that_wait_are_told_to_sleep_soon():
    environment: dict[str, str] = {}
    settle(environment)
    assert environment["GOMP_SPINCOUNT"] == "2000"
    assert "KMP_BLOCKTIME" not in environment


@pytest.mark.parametrize(
    "chosen", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY"]
)
def test_a_way_to_wait_that_the_user_chose_stays(chosen: str) -> None:
    environment = {chosen: "as the user wants"}
    settle(environment)
    assert {name for name in environment if name.startswith(("OMP", "GOMP", "KMP"))} == {chosen}
    assert environment[chosen] == "as the user wants"


def test_a_quota_sets_the_threads_unless_the_user_did(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_settings, "present_cores", lambda: 64)
    monkeypatch.setattr(native_settings, "allowed_cores", lambda: 3)
    free: dict[str, str] = {}
    chosen = {"OMP_NUM_THREADS": "12"}

    settle(free)
    settle(chosen)

    assert free["OMP_NUM_THREADS"] == "3"
    assert chosen["OMP_NUM_THREADS"] == "12"


def test_caches_of_shapes_are_bounded_unless_the_user_did() -> None:
    environment = {"LRU_CACHE_CAPACITY": "7"}
    bound_caches(environment)
    assert environment == {"LRU_CACHE_CAPACITY": "7", "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "96"}


def test_settings_need_no_torch() -> None:
    code = (
        "import os, sys; from forethought.models.hardware.native_settings import settle;"
        "settle(os.environ); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


_SHAPES = """
import resource, sys, torch, torch.nn.functional as F
torch.set_num_threads(1)
weight = torch.zeros(64, 64, dtype=torch.bfloat16)
def ask(sizes):
    for size in sizes:
        F.linear(torch.zeros(size, 64, dtype=torch.bfloat16), weight)
    return int(open('/proc/self/statm').read().split()[1]) * resource.getpagesize()
first = ask(range(1, 250))
print(ask(range(250, 650)) - first)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux's own figures")
def test_new_shapes_no_longer_take_memory_once_the_caches_are_full() -> None:
    def grown(settings: str) -> int:
        start = f"import os; os.environ.update({settings})"
        done = subprocess.run(
            [sys.executable, "-c", start + _SHAPES], capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    ours: dict[str, str] = {}
    bound_caches(ours)
    unbounded = {name: "100000" for name in ours}
    assert grown(repr(ours)) < 0.5 * grown(repr(unbounded))

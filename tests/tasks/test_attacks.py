"""Programs that are out to break the sandbox, as the administrator and as an ordinary user.

Each attack is also made where nothing prevents it, so that what is contained is known to be one.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from forethought.tasks.sandbox import WALLS
from tests.tasks.attacks import arena

ARENA = Path(arena.__file__)
ROOT = ARENA.parents[3]
ADMINISTRATOR, ORDINARY = 0, 65534
WALL_OF_GROUP = {"resources": "memory"}


def _users() -> list[Any]:
    """Both, where the tests run as the administrator; else whoever runs them.

    The administrator's attacks are slow, unless an ordinary user cannot read these tests.
    """
    if os.geteuid():
        return [os.geteuid()]
    slow = [] if _unreadable() else [pytest.mark.slow]
    return [pytest.param(ADMINISTRATOR, marks=slow), ORDINARY]


@pytest.fixture(scope="session")
def tried(tmp_path_factory):
    """What became of all attacks, which are made once for all tests and processes of tests."""
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if os.environ.get("PYTEST_XDIST_WORKER") else shared

    @cache
    def results(user: int, lacking: str = "") -> dict[str, Any]:
        kept = shared / f"attacks-{user}-{lacking}.json"
        with FileLock(f"{kept}.lock"):
            if not kept.exists():
                kept.write_text(_arena(user, lacking))
        found: dict[str, Any] = json.loads(kept.read_text())
        return found

    return results


def _closed(path: Path) -> Path | None:
    """A folder above that only its owner may enter."""
    return next((one for one in path.parents if one.stat().st_mode & 0o001 == 0), None)


def _unreadable() -> Path | None:
    """A folder that keeps other users from these tests."""
    return _closed(ARENA) or _closed(Path(sys.executable))


def _arena(user: int, lacking: str) -> str:
    closed = _unreadable()
    if user != os.geteuid() and closed:
        pytest.skip(f"another user cannot read these tests: {closed} is its owner's alone")
    environment = {
        **os.environ,
        arena.SECRET: f"sesame-{secrets.token_hex(8)}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
    }
    command = [sys.executable, str(ARENA), str(user), *([lacking] if lacking else [])]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    if "cannot be this user" in told.stderr:
        pytest.skip(told.stderr.strip().splitlines()[-1])
    assert told.returncode == 0, told.stderr
    return told.stdout


def _wall(group: str, name: str) -> str:
    return arena.GROUPS[group].WALLS.get(name, WALL_OF_GROUP.get(group, group))


def _breaches(group: str, of: dict[str, Any]) -> dict[str, str]:
    """Attempts that succeeded though the wall against them is said to stand."""
    found = of["walled"][group]
    return {
        name: note
        for name, (won, note) in found["told"].items()
        if won and _wall(group, name) in found["walls"]
    }


def _kept_apart(found: dict[str, Any]) -> dict[str, Any]:
    if "killed" not in found:
        pytest.skip("programs that would end all of a user's processes are not run without walls")
    return found


USERS = pytest.mark.parametrize("user", _users())
GROUPS = pytest.mark.parametrize("group", arena.GROUPS)


@USERS
@GROUPS
def test_every_attempt_is_made_and_contained(group: str, user: int, tried) -> None:
    found = tried(user)["walled"][group]

    assert [name for name, (_, note) in found["told"].items() if "not tried" in note] == []
    assert _breaches(group, tried(user)) == {}
    assert "sesame-" not in found["output"]
    missing = {_wall(group, name) for name in found["told"]} - set(found["walls"])
    lacking = {"namespaces", "seccomp"} - set(tried(user)["given"])
    assert lacking or not missing
    if missing:
        pytest.skip(f"without {', '.join(sorted(lacking))} no wall for: {', '.join(missing)}")


@USERS
@GROUPS
def test_every_attempt_succeeds_where_nothing_prevents_it(group: str, user: int, tried) -> None:
    module = arena.GROUPS[group]
    aside = {*module.UNKNOWN, *(module.ROOT_ALONE if user else ())}

    failed = {name: note for name, (won, note) in tried(user)["openly"][group].items() if not won}

    assert {name: note for name, note in failed.items() if name not in aside} == {}


def test_there_are_enough_attempts() -> None:
    attempts = sum(len(arena.names(group)) for group in arena.GROUPS)

    assert attempts >= 100
    assert len(arena.forgeries.FORGERIES) >= 20


@USERS
def test_no_forged_verdict_is_believed_though_each_is_where_tests_share_the_process(
    user: int, tried
) -> None:
    found = tried(user)["forged"]

    assert [name for name, one in found.items() if one["walled"] != "failed"] == []
    assert {name: one["error"] for name, one in found.items() if not one["openly"]} == {}


@USERS
def test_programs_that_will_not_end_are_ended_in_time(user: int, tried) -> None:
    found = _kept_apart(tried(user))["ended"]

    assert {name: one for name, one in found.items() if one["status"] == "passed"} == {}
    assert {name: one for name, one in found.items() if one["seconds"] > 5} == {}


@USERS
def test_no_process_is_left_behind_though_plain_ones_are(user: int, tried) -> None:
    found = tried(user)["survivors"]

    assert found == {"openly": 1, "status": "passed", "walled": 0}


@USERS
def test_children_cannot_hold_more_memory_together_than_one_may(user: int, tried) -> None:
    found = tried(user)["memory"]

    assert found["openly"] == "held by 4\n"
    assert "held by 4" not in found["walled"]
    assert (found["status"], found["allowed"]) == ("failed", "passed")


@USERS
def test_only_so_much_output_is_kept(user: int, tried) -> None:
    found = tried(user)["output"]

    assert (found["status"], found["kept"]) == ("passed", found["most"])


@USERS
def test_a_program_that_kills_all_it_can_kills_itself_alone(user: int, tried) -> None:
    found = _kept_apart(tried(user))["killed"]

    assert found == {"status": "failed", "victim": "S"}


@pytest.mark.parametrize(
    ("lacking", "missing"),
    [
        pytest.param("namespaces", {"files"}, marks=pytest.mark.slow),
        pytest.param("landlock", set(), marks=pytest.mark.slow),
        pytest.param("seccomp", {"kernel"}, marks=pytest.mark.slow),
        ("namespaces,landlock,seccomp", {"files", "network", "processes", "kernel"}),
    ],
)
def test_walls_that_are_told_hold_on_kernels_that_lack_something(
    lacking: str, missing: set[str], tried
) -> None:
    found = tried(_users()[-1], lacking)

    for group in arena.GROUPS:
        assert _breaches(group, found) == {}, group
        assert missing <= set(WALLS) - set(found["walled"][group]["walls"])

"""Bugs of other libraries, planted into copies of our code: each makes one of our tests fail."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.planted.bug import Bug
from tests.planted.bugs import BUGS

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "forethought"
FAILED = 1
"""How pytest exits where tests ran and some failed; other errors have other numbers."""

each = pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)


@each
def test_a_bug_can_be_planted_and_names_a_test(bug: Bug) -> None:
    source = (SOURCE / bug.file).read_text(encoding="utf-8")
    ast.parse(bug.planted(source))

    file, _, name = bug.test.partition("::")
    assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8")


def test_every_bug_has_a_name_and_an_edit_of_its_own() -> None:
    assert len({bug.name for bug in BUGS}) == len(BUGS)
    assert len({(bug.file, bug.old, bug.new) for bug in BUGS}) == len(BUGS)


@pytest.mark.slow
@each
def test_a_planted_bug_makes_its_test_fail(bug: Bug, tmp_path: Path) -> None:
    copy = shutil.copytree(SOURCE, tmp_path / "forethought")
    file = copy / bug.file
    file.write_text(bug.planted(file.read_text(encoding="utf-8")), encoding="utf-8")

    done = ran(tmp_path, "-c", "import forethought; print(forethought.__file__)")
    assert Path(done.stdout.strip()) == copy / "__init__.py"
    done = checked(tmp_path, "-x", bug.test)
    assert done.returncode == FAILED, done.stdout + done.stderr


@pytest.mark.slow
def test_without_a_bug_all_of_these_tests_pass() -> None:
    done = checked(SOURCE.parent, *sorted({bug.test for bug in BUGS}))
    assert done.returncode == 0, done.stdout + done.stderr


def checked(source: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What pytest says of these tests with the package that lies in `source`."""
    flags = ("-n0", "-q", "-p", "no:cacheprovider", "-m", "not gpu and not network")
    return ran(source, "-m", "pytest", *flags, *arguments)


def ran(source: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(source), str(ROOT)])
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )

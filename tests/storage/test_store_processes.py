"""Several processes on one results file, and processes that are killed."""

import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from forethought.storage.store import Store
from tests.storage.started import started


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "results.db"


def writer(file: Path, name: str, count: int) -> "subprocess.Popen[str]":
    return started(["-m", "tests.storage.sample_maker", str(file), name, str(count)])


def test_two_processes_may_write_at_once(file: Path) -> None:
    writers = [writer(file, name, 40) for name in ("a", "b", "c")]
    complaints = [process.communicate()[1] for process in writers]

    assert complaints == ["", "", ""]
    with Store.open(file) as store:
        assert store.counts() == {("tiny", "sums"): 120}
        assert len({(s.question, s.number) for s in store.samples()}) == 120


def told_until_killed(process: "subprocess.Popen[str]", random: Random) -> list[int]:
    """The samples that a writer said it had kept, at least one, before a random moment."""
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        told = [process.stdout.readline() for _ in range(random.randint(1, 4))]
        time.sleep(random.uniform(0, 0.02))
        process.kill()
        # Not by `communicate`, which loses what `readline` has read ahead.
        told += process.stdout.readlines()
    return [int(line) for line in told if line.endswith("\n")]


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_writer_loses_and_doubles_nothing(file: Path) -> None:
    random = Random(0)
    promised = set()

    for life in range(12):
        process = writer(file, f"life {life}", 100_000)
        promised |= {(f"life {life}", number) for number in told_until_killed(process, random)}
        with Store.open(file) as store:
            kept = [(one.question, one.number) for one in store.samples()]
        assert promised <= set(kept)
        assert len(kept) == len(set(kept))

    assert len(promised) >= 12

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


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_writer_loses_and_doubles_nothing(file: Path) -> None:
    random = Random(0)
    promised = set()

    for life in range(12):
        process = writer(file, f"life {life}", 100_000)
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        time.sleep(random.uniform(0, 0.05))
        process.kill()
        said, _ = process.communicate()
        whole = said.rpartition("\n")[0].split()
        promised |= {(f"life {life}", int(number)) for number in whole}
        with Store.open(file) as store:
            kept = [(one.question, one.number) for one in store.samples()]
        assert promised <= set(kept)
        assert len(kept) == len(set(kept))

    assert len(promised) > 12

"""The log of served runs: whole after a kill, bounded, and closed to other tenants."""

from __future__ import annotations

import sqlite3
import sys
import threading
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from forethought.contracts.errors import StoreError
from forethought.contracts.records import Event
from forethought.server.page_data import prompt_document
from forethought.storage.location import VARIABLE, served_runs_file
from forethought.storage.run_log import RunLog, ServedRun
from forethought.storage.store import Store
from tests.server.page import recordings
from tests.server.run_log_writer import made
from tests.storage.started import started


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "runs.sqlite"


def test_a_run_comes_back_as_it_was_after_a_restart(file: Path) -> None:
    prompt = prompt_document(recordings.prompt("specpc"))
    run = ServedRun("a", 1.5, recordings.events("specpc"), "Why?", prompt, "tenant")
    log = RunLog.open(file)
    log.record(run)
    log.close()

    found = RunLog.open(file).get("a", "tenant")

    assert found == run
    assert found.document["kept"]["prompt_tokens"] == 256


def test_the_list_has_the_newest_run_first_and_neither_events_nor_positions(file: Path) -> None:
    log = RunLog.open(file)
    for number, name in enumerate(("exact", "specpc", "particle-filter")):
        log.record(made(name, number))

    listed = log.summaries()

    assert [one["question"] for one in listed] == ["q2", "q1", "q0"]
    assert listed[1]["recipe"] == "smollm2+specpc(keep=256)"
    assert "positions" not in listed[1]["kept"]
    assert "events" not in listed[1]
    assert len(log.summaries(limit=2)) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_server_loses_no_recorded_run(file: Path) -> None:
    random, promised = Random(0), list[str]()
    for _ in range(5):
        process = started(["-m", "tests.server.run_log_writer", str(file)])
        assert process.stdout
        promised += [process.stdout.readline().strip() for _ in range(random.randint(1, 20))]
        process.kill()
        rest, _ = process.communicate()
        promised += [line for line in rest.splitlines(keepends=True) if line.endswith("\n")]

    log = RunLog.open(file)

    for identifier in map(str.strip, promised):
        found = log.get(identifier)
        assert found
        assert found.events == recordings.events("specpc")


def test_the_oldest_runs_leave_once_the_limit_is_reached(file: Path) -> None:
    probe = RunLog.open(file.with_name("probe.sqlite"))
    probe.record(made("specpc", 0))
    log = RunLog.open(file, most_bytes=4 * probe.size() + 64)
    for number in range(10):
        log.record(made("specpc", number, f"run-{number}"))

    assert [one["id"] for one in log.summaries()] == ["run-9", "run-8", "run-7", "run-6"]
    assert log.size() <= log.most_bytes
    assert log.get("run-5") is None


def test_the_file_stops_growing(file: Path) -> None:
    log = RunLog.open(file, most_bytes=60_000)
    pages = []
    for number in range(150):
        log.record(made("specpc", number))
        pages.append(log.connection.execute("PRAGMA page_count").fetchone()[0])

    assert max(pages[75:]) == max(pages[:75])
    assert max(pages) * 4096 < 3 * log.most_bytes


def test_a_run_beyond_the_whole_limit_is_left_out_and_others_stay(file: Path) -> None:
    log = RunLog.open(file, most_bytes=20_000)
    log.record(made("specpc", 0, "small"))
    token = recordings.events("specpc")[5]
    random = Random(1)
    noise = "".join(chr(random.randint(0x4E00, 0x9FFF)) for _ in range(40_000))
    many = (replace(token, data={**token.data, "text": noise}), *recordings.events("specpc"))

    log.record(ServedRun("large", 1.0, many))

    assert [one["id"] for one in log.summaries()] == ["small"]


def test_a_tenant_sees_its_own_runs_alone(file: Path) -> None:
    log = RunLog.open(file)
    log.record(replace(made("exact", 0, "mine"), tenant="me"))
    log.record(replace(made("exact", 1, "yours"), tenant="you"))

    assert [one["id"] for one in log.summaries("me")] == ["mine"]
    assert log.get("yours", "me") is None
    assert log.get("yours", "you") is not None
    assert log.summaries() == []


def test_threads_share_a_log(file: Path) -> None:
    log = RunLog.open(file)

    def write(name: str) -> None:
        for number in range(10):
            log.record(made("exact", number, f"{name}-{number}"))

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(log.summaries()) == 30


def test_half_a_surrogate_in_a_text_is_kept(file: Path) -> None:
    log = RunLog.open(file)
    log.record(replace(made("exact", 0, "a"), question="\ud83d"))

    found = log.get("a")

    assert found
    assert found.question == "\ud83d"


def test_a_run_that_has_not_ended_is_a_mistake_of_the_caller(file: Path) -> None:
    with pytest.raises(AssertionError, match="once it has ended"):
        RunLog.open(file).record(ServedRun("a", 0.0, (Event("note", {"text": "n"}),)))


def test_files_of_other_kinds_are_refused_with_a_hint(file: Path) -> None:
    with Store.open(file):
        pass

    with pytest.raises(StoreError, match="another program's database") as caught:
        RunLog.open(file)
    assert caught.value.hint
    file.with_name("text").write_text("no database, and longer than a header would be" * 9)
    with pytest.raises(StoreError, match=r"run log .* is not an SQLite file"):
        RunLog.open(file.with_name("text"))


def test_damaged_content_is_a_typed_error(file: Path) -> None:
    log = RunLog.open(file)
    log.record(made("exact", 0, "a"))
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE runs SET content = x'00'")
    connection.close()

    with pytest.raises(StoreError, match="damaged"):
        log.get("a")


def test_the_log_lies_beside_the_results_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for results, served in (
        ("results.sqlite", "served-runs.sqlite"),
        ("own.sqlite", "own-served-runs.sqlite"),
        ("other.db", "other.db-served-runs.sqlite"),
    ):
        monkeypatch.setenv(VARIABLE, str(tmp_path / results))

        assert served_runs_file() == tmp_path / served

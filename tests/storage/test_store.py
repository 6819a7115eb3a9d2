import json
import sqlite3
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from forethought.contracts.errors import StoreError
from forethought.storage.store import Store, answer_content
from forethought.storage.store_file import VERSION, _prepare, open_file
from tests.storage.sample_maker import sample
from tests.storage.started import started

DISK_FULL = """
import resource, signal, sys
from forethought.contracts.errors import StoreError
from forethought.storage.store import Store
from tests.storage.sample_maker import sample
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
kept = 0
with Store.open(sys.argv[1]) as store:
    try:
        while kept < 1000:
            store.put(sample(kept, run={"answer": "x" * 3000}))
            kept += 1
    except StoreError as error:
        print(error.message, error.hint, sep="\\n", file=sys.stderr)
    assert len(store.samples()) == kept
print(kept)
"""
READ_ONLY = """
import os, sys
from forethought.contracts.errors import StoreError
from forethought.storage.store import Store
from tests.storage.sample_maker import sample
if os.geteuid() == 0:
    os.setuid(65534)  # who may do everything would not notice
try:
    with Store.open(sys.argv[1]) as store:
        store.put(sample(1))
except StoreError as error:
    print(error.message, error.hint, sep="\\n")
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "results.db"


def test_samples_of_an_earlier_revision_of_a_method_are_left_out(file: Path) -> None:
    recipe = "tiny+specpc(keep=20)"
    earlier = sample(0, recipe=recipe)
    current = sample(1, recipe=recipe)
    current = replace(current, provenance={**current.provenance, "revisions": "specpc 2"})

    with Store.open(file) as store:
        for one in (earlier, current, sample(0, recipe="tiny+snapkv")):
            store.put(one)

        assert store.samples(recipes=[recipe]) == [current]
        assert len(store.samples()) == 2
        assert store.get(earlier.key) == earlier


def test_a_sample_reads_back_as_it_was_kept(file: Path) -> None:
    kept = sample(run={"answer": "é\0\ud800", "deep": [{"x": None}, 0.1, float("-inf")]}, score=0.3)

    with Store.open(file) as store:
        store.put(kept)
    with Store.open(file) as store:
        assert store.has(kept.key)
        assert store.get(kept.key) == kept
        assert store.samples() == [kept]


def test_an_unknown_key_is_none_and_not_there(file: Path) -> None:
    with Store.open(file) as store:
        assert store.get("nothing") is None
        assert not store.has("nothing")


def test_the_folder_of_the_file_is_made(tmp_path: Path) -> None:
    with Store.open(tmp_path / "a" / "b" / "results.db") as store:
        assert store.counts() == {}


def test_samples_have_one_order_whatever_the_order_of_writing(tmp_path: Path) -> None:
    made = [
        sample(number, recipe=recipe, task=task, question=question)
        for recipe in ("b", "a")
        for task in ("t2", "t10")
        for question in ("q1", "Q1")
        for number in (10, 2)
    ]
    read = []

    for seed in range(3):
        with Store.open(tmp_path / f"{seed}.db") as store:
            for one in Random(seed).sample(made, len(made)):
                store.put(one)
            read.append(store.samples())

    assert read[0] == sorted(made, key=lambda s: (s.recipe, s.task, s.question, s.number))
    assert read[0] == read[1] == read[2]


def test_samples_are_chosen_by_recipe_and_task(file: Path) -> None:
    made = [sample(recipe=recipe, task=task) for recipe in "abc" for task in "tu"]

    with Store.open(file) as store:
        for one in made:
            store.put(one)

        assert [s.key for s in store.samples(recipes=["a", "c"], tasks=["u"])] == [
            "a/u/q1/0",
            "c/u/q1/0",
        ]
        assert len(store.samples(tasks=["t"])) == 3
        assert store.samples(recipes=[]) == []


def test_counts_are_by_recipe_and_task(file: Path) -> None:
    with Store.open(file) as store:
        for number in range(3):
            store.put(sample(number))
        store.put(sample(task="other"))

        assert store.counts() == {("tiny", "other"): 1, ("tiny", "sums"): 3}


def test_keeping_the_same_sample_twice_changes_nothing(file: Path) -> None:
    first = sample(run={"answer": "7", "timing": {"first_token": 1.0}, "cost": {"seconds": 1.0}})
    slower = replace(
        first, run={"answer": "7", "timing": {"first_token": 2.0}, "cost": {"seconds": 2.0}}
    )

    with Store.open(file) as store:
        assert store.put(first) == first
        assert store.put(slower) == first

        assert answer_content(slower) == answer_content(first)
        assert store.samples() == [first]


def test_what_one_of_two_runs_noted_makes_them_no_others(file: Path) -> None:
    first = sample(run={"answer": "7", "notes": []})
    noted = replace(first, run={"answer": "7", "notes": ["the server wrote 9 tokens in vain"]})

    with Store.open(file) as store:
        assert store.put(first) == store.put(noted) == first

        assert answer_content(noted) == answer_content(first)
        assert store.samples() == [first]


@pytest.mark.parametrize("change", [{"score": 0.0}, {"run": {"answer": "8"}}])
def test_of_two_answers_with_one_key_the_first_stays(file: Path, change: dict[str, object]) -> None:
    first = sample(run={"answer": "7"})
    other = replace(first, **change)

    with Store.open(file) as store:
        store.put(first)

        assert store.put(other) == first
        assert answer_content(other) != answer_content(first)
        assert store.samples() == [first]


@pytest.mark.parametrize("change", [{"task": "other"}, {"question": "q2"}, {"number": 3}])
def test_a_key_that_names_something_else_is_refused(file: Path, change: dict[str, object]) -> None:
    first = sample()

    with Store.open(file) as store:
        store.put(first)
        with pytest.raises(StoreError, match="under the key of"):
            store.put(replace(first, **change))

        assert store.samples() == [first]


@pytest.mark.parametrize("score", [-0.1, 1.1, float("nan")])
def test_a_score_outside_its_limits_is_refused(file: Path, score: float) -> None:
    with Store.open(file) as store:
        with pytest.raises(StoreError, match="not between 0 and 1"):
            store.put(sample(score=score))

        assert store.samples() == []


@pytest.mark.parametrize("bad", [{"run": {"answer": {1, 2}}}, {"question": "\ud800"}])
def test_what_cannot_be_written_is_refused(file: Path, bad: dict[str, object]) -> None:
    with Store.open(file) as store:
        with pytest.raises(StoreError, match="cannot be written"):
            store.put(replace(sample(), **bad))

        assert store.samples() == []


def test_a_sample_is_in_the_log_on_disk_before_put_returns(file: Path) -> None:
    with Store.open(file) as store:
        (level,) = store.connection.execute("PRAGMA synchronous").fetchone()
        (journal,) = store.connection.execute("PRAGMA journal_mode").fetchone()
        store.put(sample())
        with Store.open(file) as other:
            assert other.samples() == [sample()]

    assert (level, journal) == (2, "wal")


def test_a_newer_file_is_refused_and_left_alone(file: Path) -> None:
    with Store.open(file) as store:
        store.connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    before = file.read_bytes()

    with pytest.raises(StoreError, match=f"version {VERSION + 1}"):
        Store.open(file)
    assert file.read_bytes() == before


def test_another_programs_database_is_refused_and_left_alone(file: Path) -> None:
    other = sqlite3.connect(file)
    other.execute("CREATE TABLE samples (key TEXT)")
    other.commit()
    other.close()
    before = file.read_bytes()

    with pytest.raises(StoreError, match="another program"):
        Store.open(file)
    assert file.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_left_alone(file: Path) -> None:
    file.write_text("question,answer\n" * 100)

    with pytest.raises(StoreError, match="not an SQLite file"):
        Store.open(file)
    assert file.read_text() == "question,answer\n" * 100


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is a folder"):
        Store.open(tmp_path)


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreError, match="folder"):
        Store.open(tmp_path / "file" / "results.db")


@pytest.mark.parametrize("damage", ["cut", "noise", "blank page"])
def test_a_damaged_file_is_refused(file: Path, damage: str) -> None:
    with Store.open(file) as store:
        for number in range(50):
            store.put(sample(number, run={"answer": "x" * 1000}))
    whole, page = file.read_bytes(), 4096
    half = len(whole) // page // 2 * page
    rest = {"cut": b"", "noise": b"\xa5" * half, "blank page": bytes(page) + whole[half + page :]}

    file.write_bytes(whole[:half] + rest[damage])

    with pytest.raises(StoreError, match="damaged"):
        Store.open(file)


def test_a_sample_whose_text_is_damaged_is_no_sample(file: Path) -> None:
    with Store.open(file) as store:
        store.put(sample())
        store.connection.execute("UPDATE samples SET run = '{\"answer'")

        with pytest.raises(StoreError, match="damaged"):
            store.samples()


def test_a_file_that_another_process_holds_is_waited_for_and_then_refused(file: Path) -> None:
    with Store.open(file, patience=0.2) as store, Store.open(file) as other:
        other.connection.execute("BEGIN IMMEDIATE")
        start = time.monotonic()
        with pytest.raises(StoreError, match="in use by another process"):
            store.put(sample())
        waited = time.monotonic() - start
        other.connection.execute("ROLLBACK")
        store.put(sample())

        assert waited > 0.15
        assert store.samples() == [sample()]


def test_a_failure_of_a_finer_kind_is_put_into_the_same_words(file: Path) -> None:
    with Store.open(file) as store, Store.open(file) as other:
        store.connection.execute("BEGIN")
        store.samples()
        other.put(sample(1))

        with pytest.raises(StoreError, match="in use by another process") as caught:
            store.put(sample(2))

    assert caught.value.__cause__.sqlite_errorname == "SQLITE_BUSY_SNAPSHOT"


def test_a_store_that_was_closed_says_so(file: Path) -> None:
    store = Store.open(file)
    store.close()

    with pytest.raises(StoreError, match="closed"):
        store.put(sample())


def test_a_store_serves_the_thread_that_holds_it(file: Path) -> None:
    with Store.open(file) as store:
        thread = threading.Thread(target=store.put, args=(sample(),))
        thread.start()
        thread.join()

        assert store.samples() == [sample()]


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits")
def test_a_full_disk_loses_nothing_that_was_kept(file: Path) -> None:
    process = started(["-c", DISK_FULL, str(file)])
    said, complaint = process.communicate()

    kept = int(said)
    assert 5 < kept < 1000
    assert "free" in complaint
    with Store.open(file) as store:
        assert [one.number for one in store.samples()] == list(range(kept))
        store.put(sample(kept))


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX permissions")
def test_a_read_only_file_is_refused_and_left_alone() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "results.db"
        with Store.open(file) as store:
            store.put(sample())
        file.chmod(0o444)
        Path(folder).chmod(0o555)
        said, complaint = started(["-c", READ_ONLY, str(file)]).communicate()
        Path(folder).chmod(0o755)
        file.chmod(0o644)

        assert "cannot be" in said, complaint
        assert "permissions" in said or "folder" in said
        with Store.open(file) as store:
            assert store.samples() == [sample()]


def test_the_columns_one_filters_by_can_be_queried_with_sql(file: Path) -> None:
    with Store.open(file) as store:
        store.put(sample(score=0.25))
    reader = sqlite3.connect(file)

    (row,) = reader.execute("SELECT recipe, task, question, number, score, run FROM samples")
    reader.close()

    assert row[:5] == ("tiny", "sums", "q1", 0, 0.25)
    assert json.loads(row[5])["answer"] == "7"


def test_a_file_that_another_process_makes_meanwhile_is_not_taken_for_anothers(
    tmp_path: Path,
) -> None:
    path = tmp_path / "r.sqlite"
    connection = sqlite3.connect(path, isolation_level=None)

    def meanwhile(statement: str) -> None:
        if "sqlite_master" in statement:
            connection.set_trace_callback(None)
            with suppress(StoreError):  # it may have to wait, and would
                open_file(path, patience=0.0).close()

    connection.set_trace_callback(meanwhile)
    try:
        _prepare(connection, path, patience=1.0)
    finally:
        connection.close()
    open_file(path, patience=0.0).close()

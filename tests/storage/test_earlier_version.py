"""Files that an earlier version wrote are read as it read them.

`earlier/` holds a results file and two documents of `ask --json` that commit 8fba255 wrote with the
recipes below: the model of `tests/cli/tiny_folder.py`, and a server that no longer runs.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from forethought import catalogue
from forethought.cli.main import exit_code
from forethought.contracts.questions import Question, Sample
from forethought.evaluation.compare import compare
from forethought.recipes.recipe import Recipe
from forethought.storage.store import Store, answer_content
from tests.cli.tiny_folder import write_tiny_model

EARLIER = Path(__file__).with_name("earlier")
STEPS = "step-beam(n=2, width=1, delimiter=' ')@self-judge"
HERE = ("tiny+snapkv(keep=60)", ["majority-vote(n=2)", STEPS], 1)
SERVED = ("http://127.0.0.1:8437/v1#toy", ["majority-vote(n=2)"], 2)
SPELLINGS = {
    "tiny",
    "tiny+snapkv(keep=60)@majority-vote(n=2)",
    "tiny+snapkv(keep=60)@step-beam(width=1, n=2, delimiter=' ')@self-judge",
    "http://127.0.0.1:8437/v1#toy",
    "http://127.0.0.1:8437/v1#toy@majority-vote(n=2)",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A copy of the results file."""
    return Path(shutil.copy(EARLIER / "results.sqlite", tmp_path))


@pytest.fixture
def beside_the_model(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, which holds the model `tiny`."""
    write_tiny_model(tmp_path / "tiny")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def samples(file: Path) -> list[Sample]:
    with Store.open(file) as store:
        return store.samples()


def pieces(file: Path) -> dict[str, str]:
    with Store.open(file) as store:
        return dict(store.connection.execute("SELECT key, outcome FROM pieces"))


def compared(file: Path, base: str, recipes: list[str], questions: int) -> tuple[int, Any]:
    """How many samples were asked for, and the comparison."""
    asked = list[int]()
    task = f"addition(digits=2, count={questions})"
    found = compare(
        recipes,
        [task],
        base,
        results=file,
        progress=lambda at: asked.append(at.asked),
    )
    return max(asked), found


@pytest.mark.parametrize("line", [HERE, SERVED], ids=["here", "served"])
def test_no_sample_is_asked_again(
    file: Path, line: tuple[str, list[str], int], beside_the_model: Path
) -> None:
    before = samples(file)

    asked, found = compared(file, *line)

    assert asked == 0
    assert samples(file) == before
    scores: dict[str, list[float]] = {}
    for sample in before:
        scores.setdefault(sample.recipe, []).append(sample.score)
    assert len(found.standings) == 1 + len(line[1])
    for one in found.standings:
        assert one.score.value == sum(scores[one.recipe]) / len(scores[one.recipe])


def test_searches_are_put_together_again_from_the_replay_log(
    file: Path, beside_the_model: Path
) -> None:
    before, log = samples(file), pieces(file)
    connection = sqlite3.connect(file)
    with connection:
        connection.execute("DELETE FROM samples WHERE recipe LIKE 'tiny%@%'")
    connection.close()
    assert len(samples(file)) == len(before) - 2

    asked, _ = compared(file, *HERE)

    assert asked == 2
    assert pieces(file) == log  # no request had another key, so none was served anew
    assert [(one.key, one.recipe, answer_content(one)) for one in samples(file)] == [
        (one.key, one.recipe, answer_content(one)) for one in before
    ]


def test_outcomes_in_the_replay_log_read_back(file: Path, tmp_path: Path) -> None:
    log = pieces(file)

    with Store.open(file) as store, Store.open(tmp_path / "new.sqlite") as fresh:
        for key in log:
            outcome = store.replay_log().get(key)
            assert outcome is not None
            fresh.replay_log().put(outcome)

    written = pieces(tmp_path / "new.sqlite")
    assert len(log) > 8
    assert written.keys() == log.keys()
    for key, text in log.items():
        assert holds(json.loads(written[key]), json.loads(text)), key


def holds(whole: Any, part: Any) -> bool:
    """Whether all that `part` says is in `whole`, which may have more fields."""
    if isinstance(part, dict):
        return all(name in whole and holds(whole[name], value) for name, value in part.items())
    return bool(whole == part)


def test_spellings_and_scores_are_those_of_today(file: Path) -> None:
    kept = samples(file)
    (task,) = catalogue.expand("addition(digits=2, count=2)").values()
    questions: dict[str, Question] = {one.identifier: one for one in task.questions(len)}

    assert {one.run["recipe"] for one in kept} == SPELLINGS
    assert {one.score for one in kept} == {0.0, 1.0}
    for one in kept:
        assert Recipe.parse(one.run["recipe"]).spelling == one.run["recipe"]
        assert task.check(questions[one.question], one.run["answer"]) == one.score


ADDED = {".choices", ".decisions"}
"""Fields that documents have had since."""
ASKED: Mapping[str, list[str]] = {
    "plain": ["-x", "specpc-shallow(keep=20)", "-f", "moon.txt"],
    "search": ["-s", "best-of-n(n=2)@likelihood", "--stop", "zzz"],
}


@pytest.mark.parametrize("form", ASKED)
def test_a_document_of_ask_has_the_fields_it_had(
    form: str, beside_the_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (beside_the_model / "moon.txt").write_text("The moon stands between the sun and the earth.\n")

    code = exit_code(["ask", "Why?", "-m", "tiny", "--max-tokens", "8", *ASKED[form], "--json"])

    run = json.loads(capsys.readouterr().out)
    earlier = json.loads((EARLIER / "ask.json").read_text())[form]
    assert code == 0
    assert set(names(run)) == set(names(earlier)) | ADDED
    assert (run["recipe"], run["run"]) == (earlier["recipe"], earlier["run"])
    assert run["settings"] == earlier["settings"]


def names(value: Any, above: str = "") -> Iterator[str]:
    """Every field of a document, with those that it stands in."""
    if isinstance(value, dict):
        for name, below in value.items():
            yield f"{above}.{name}"
            yield from names(below, f"{above}.{name}")
    elif isinstance(value, list):
        for below in value:
            yield from names(below, above)


def test_an_earlier_file_gets_the_column_of_outcomes_and_loses_nothing(file: Path) -> None:
    rows = sqlite3.connect(EARLIER / "results.sqlite").execute(ROWS).fetchall()
    assert len(rows) > 4

    kept = samples(file)
    assert {one.outcome for one in kept} == {""}
    with Store.open(file) as store:
        fresh = replace(kept[0], key="another", number=7, outcome="unparsable")
        assert store.put(fresh) == store.get("another") == fresh
        store.connection.execute("DELETE FROM samples WHERE key = 'another'")

    assert sqlite3.connect(file).execute(ROWS).fetchall() == rows


ROWS = (
    "SELECT key, recipe, task, question, cluster, number, score, run, provenance FROM samples "
    "ORDER BY key"
)


def test_an_earlier_file_that_cannot_be_written_is_read(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = samples(Path(shutil.copy(file, f"{file}.w")))
    connect = sqlite3.connect

    def read_only(path: Path, **settings: Any) -> sqlite3.Connection:
        return connect(f"file:{path}?mode=ro", uri=True, **settings)

    monkeypatch.setattr(sqlite3, "connect", read_only)
    assert samples(file) == before


def test_outcomes_of_earlier_answers_are_read_from_their_texts(
    file: Path, beside_the_model: Path
) -> None:
    _, found = compared(file, *HERE)
    (task,) = catalogue.expand("addition(digits=2, count=1)").values()
    (question,) = task.questions(len)
    for one in found.standings:
        told = [task.parsed(question, sample.run["answer"]) or sample.score > 0
                for sample in samples(file) if sample.recipe == one.recipe]  # fmt: skip
        assert one.unparsable == 1 - sum(told) / len(told)


def test_files_that_are_made_today_have_the_same_tables(file: Path, tmp_path: Path) -> None:
    assert tables(tmp_path / "made.sqlite") == tables(file)


def tables(path: Path) -> list[tuple[Any, ...]]:
    with Store.open(path) as store:
        store.replay_log().get("")
        query = "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY 1, 2"
        version = store.connection.execute("PRAGMA user_version").fetchall()
        return [*store.connection.execute(query), *version]

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from forethought.cli.main import exit_code
from tests.caches import new_cache
from tests.cli.tiny_folder import write_tiny_model

TEXT = "The moon stands between the sun and the earth. " * 20
Ask = Callable[..., tuple[str, str, int]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = new_cache(tmp_path_factory.getbasetemp() / "cache")
    monkeypatch.setenv("FORETHOUGHT_CACHE", str(folder))
    return folder


@pytest.fixture
def ask(model: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Asks the tiny model: standard output, standard error, exit code."""

    def run(*arguments: str) -> tuple[str, str, int]:
        code = exit_code(["ask", "Why?", "-m", str(model), "--max-tokens", "8", *arguments])
        shown = capsys.readouterr()
        return shown.out, shown.err, code

    return run


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "moon.md"
    path.write_text(TEXT)
    return path


def test_the_answer_is_the_same_as_text_document_and_events(ask: Ask) -> None:
    text, panel, code = ask()
    run = json.loads(ask("--json")[0])
    events = [json.loads(line) for line in ask("--jsonl")[0].splitlines()]

    assert code == 0
    assert run["answer"] == text.removesuffix("\n") != ""
    assert "".join(e["data"]["text"] for e in events if e["kind"] == "token") == run["answer"]
    assert events[-1]["data"]["run"].keys() == run.keys()
    assert f"· run {run['run']}" in " ".join(panel.split())  # its lines may be folded


def test_the_document_has_its_stable_fields(ask: Ask, document: Path) -> None:
    run = json.loads(ask("--json", "-f", str(document), "-x", "specpc-shallow(keep=100)")[0])

    assert {"answer", "recipe", "seed", "finish", "confidence", "cost", "timing"} <= run.keys()
    assert {"exact", "kept", "candidates", "run"} <= run.keys()
    assert run["kept"]["prompt_tokens"] == 100
    assert run["kept"]["of"] == len(TEXT) + len("\n\nWhy?")
    assert run["recipe"].endswith("+specpc-shallow(keep=100)")
    assert run["cost"]["flops"] > 0


def test_a_recipe_asked_for_again_gives_the_same_answer(ask: Ask, document: Path) -> None:
    flags = ["--json", "-f", str(document), "--temperature", "1", "--seed", "7"]

    first, second = (json.loads(ask(*flags)[0]) for _ in range(2))

    assert (first["answer"], first["run"]) == (second["answer"], second["run"])


def test_several_answers_are_numbered(ask: Ask) -> None:
    out, _, _ = ask("--samples", "2", "--temperature", "1.5", "--logprobs", "1", "-q")

    assert out.startswith("[1] ")
    assert "\n[2] " in out


def test_a_spent_budget_has_its_exit_code(ask: Ask) -> None:
    out, panel, code = ask("--budget", "3tok")

    assert code == 3
    assert out != "\n"
    assert " ended      when the budget was spent; more with --budget\n" in panel


def test_a_stop_text_ends_the_answer(ask: Ask) -> None:
    whole = ask("-q")[0].removesuffix("\n")

    out, panel, code = ask("--stop", whole[3])

    assert (out.removesuffix("\n"), code) == (whole[: whole.index(whole[3])], 0)
    assert "ended" not in panel


def test_what_cannot_be_done_is_an_error_and_a_hint(ask: Ask, document: Path) -> None:
    out, err, code = ask("-f", str(document), "-x", "specpc-shallow(keep=3)")

    assert (out, code) == ("", 2)
    assert err.startswith("error: ")
    assert "\n\nhint: " in err


def test_pull_prints_where_the_model_is(
    model: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(["pull", str(model)]) == 0
    assert (cache in Path(capsys.readouterr().out.strip()).parents) is True


def test_pulling_what_does_not_exist_fails_with_a_hint(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = exit_code(["pull", "smollm3"])

    assert code == 2
    assert capsys.readouterr().err == (
        "error: no model is called 'smollm3'\n\nhint: did you mean smollm2?\n"
    )


ONE_BY_ONE = ["-s", "majority-vote(n=900, window=1, confident=0.9999)", "--temperature", "1"]


@pytest.mark.parametrize("search", [["--max-tokens", "4000"], [*ONE_BY_ONE, "--max-tokens", "9"]])
def test_control_c_keeps_what_there_is(model: Path, cache: Path, search: list[str]) -> None:
    command = [sys.executable, "-m", "forethought", "Why?", "-m", str(model), "--jsonl"]
    with subprocess.Popen(
        [*command, *search],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(5)]

        process.send_signal(signal.SIGINT)
        rest, err = process.communicate(timeout=60)

    done = json.loads((lines + rest.splitlines())[-1])
    assert process.returncode == 130
    assert err == ""
    assert done["kind"] == "done"
    assert done["data"]["run"]["finish"] == "interrupted"
    assert done["data"]["run"]["answer"] != ""


def test_a_search_gives_one_answer_and_shows_its_candidates(ask: Ask, tmp_path: Path) -> None:
    tree = tmp_path / "tree.svg"
    out, panel, code = ask("-s", "majority-vote(n=3)", "--temperature", "1", "--tree", str(tree))
    run = json.loads(ask("-s", "majority-vote(n=3)", "--temperature", "1", "--json")[0])

    assert code == 0
    assert out == run["answer"] + "\n"
    assert len(run["candidates"]) == 3
    assert run["answer"] in [one["text"] for one in run["candidates"] if one["chosen"]]
    assert run["recipe"].endswith("@majority-vote(n=3)")
    assert " candidates 3 answers\n" in panel
    assert tree.read_text("utf-8").startswith("<svg")


def test_an_answer_is_shown_though_its_drawing_cannot_be_written(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "tree.svg").mkdir()
    flags = ("-s", "majority-vote(n=2)", "--temperature", "1")
    out, err, code = ask(*flags, "--tree", str(tmp_path / "tree.svg"))

    assert code == 2
    assert out == ask(*flags)[0] != ""
    assert "cannot write" in err


def test_a_budget_that_ends_a_search_early_is_told(ask: Ask) -> None:
    def notes(budget: str) -> list[str]:
        flags = ("-s", "adaptive(n=2)", "--max-tokens", "8", "--budget", budget)
        return list(json.loads(ask(*flags, "--json")[0])["notes"])

    assert notes("12tok") == ["the budget ended the search early"]
    assert notes("1FLOP") == ["the prefill of the prompt takes more than the budget"]
    assert notes("500tok") == []


def test_a_search_keeps_to_its_budget(ask: Ask) -> None:
    run = json.loads(ask("-s", "majority-vote(n=3)", "--budget", "7tok", "--json")[0])

    assert run["cost"]["output_tokens"] == 7
    assert [one["finish"] for one in run["candidates"]] == ["budget"] * 3


def test_a_scorer_may_stand_behind_its_strategy(ask: Ask) -> None:
    joined = json.loads(ask("-s", "best-of-n(n=2)@likelihood", "--json")[0])
    apart = json.loads(ask("-s", "best-of-n(n=2)", "--scorer", "likelihood", "--json")[0])

    assert joined["recipe"] == apart["recipe"]
    assert joined["recipe"].endswith("@best-of-n(n=2)@likelihood")


def test_a_search_that_is_the_plain_answer_takes_what_that_takes(ask: Ask) -> None:
    plain, search = (json.loads(ask(*flags, "--json")[0]) for flags in ([], ["-s", "greedy"]))

    assert search["exact"] == plain["exact"]
    assert search["cost"]["flops"] == pytest.approx(plain["cost"]["flops"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-s", "vote"], "no strategy is called 'vote'"),
        (["-s", " "], "names no strategy"),
        (["-s", "temperature-vote(low=2, high=1)"], "low=2 is above high=1"),
        (["-s", "step-beam"], "none is named"),
        (["-s", "majority-vote", "--scorer", "likelihood"], "asks no scorer"),
        (["--tree", "t.svg"], "--tree needs a search"),
        (["-s", "greedy", "--tree", "t.png"], "no known report format"),
        (["-s", "greedy", "--then", "And?"], "conversation"),
        (["-s", "greedy", "--samples", "2"], "draws its own samples"),
        (["-s", "greedy", "--logprobs", "2"], "a search chooses its answer at the end"),
        (["-s", "greedy", "-x", "auto"], "auto chooses for plain answers"),
    ],
)
def test_a_search_that_cannot_be_is_refused(ask: Ask, arguments: list[str], said: str) -> None:
    out, err, code = ask(*arguments)
    assert (out, code) == ("", 2)
    assert said in err


@pytest.mark.parametrize(
    "verb",
    [
        ["ask", "Why?", "--max-tokens", "1"],
        ["compress", "Why?", "-x", "truncate(keep=20)", "-f"],
        ["evaluate", "-t", "addition(digits=1, count=1)", "--max-tokens", "1", "--results"],
    ],
    ids=lambda verb: verb[0],
)
def test_verbs_that_run_a_model_set_the_native_libraries(
    verb: list[str],
    model: Path,
    cache: Path,
    document: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = "GOMP_SPINCOUNT", "LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
    for name in (*names, "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    last = {"-f": [str(document)], "--results": [str(tmp_path / "kept.sqlite")]}

    assert exit_code([*verb, *last.get(verb[-1], []), "-m", str(model)]) == 0

    assert set(names) <= os.environ.keys()

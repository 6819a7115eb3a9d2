"""`--spend auto` on the command line and in Python: recorded decisions, prices and refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from forethought.cli.main import exit_code
from forethought.contracts.errors import UsageError
from forethought.recipes.recipe import Recipe
from forethought.sessions.ask import ask
from forethought.sessions.spend import spending
from tests.cli.tiny_folder import write_tiny_model
from tests.storage.sample_maker import sample


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_model(tmp_path_factory.mktemp("models") / "tiny"))


def test_decisions_are_in_the_events_and_in_the_run(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["ask", "1 + 1?", "-m", model, "--spend", "auto", "--value", "8x"]
    assert exit_code([*asked, "--max-tokens", "5", "--jsonl", "-q"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = [one["data"] for one in events if one["kind"] == "decision"]
    run = events[-1]["data"]["run"]
    assert run["decisions"] == told
    assert len(run["candidates"]) == len(told) - 1
    # A random model's texts state no answers: they say nothing of the rate of those that do.
    # Without a penalty one of them is better than none all the same.
    assert told[-1]["chosen"]["action"] == "stop"
    assert run["answer"]
    assert len({one["belief"]["success"]["target"]["mean"] for one in told}) == 1
    assert told[0]["unit"] == "flops"
    assert told[-1]["spent"] == run["cost"]["flops"] > 0


def test_samples_that_are_all_equal_are_refused(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(["ask", "1 + 1?", "-m", model, "--spend", "auto", "--temperature", "0"]) == 2
    assert "all equal at temperature 0" in capsys.readouterr().err


def test_python_refuses_samples_that_are_all_equal(model: str) -> None:
    with pytest.raises(UsageError, match="all equal at temperature 0"):
        ask("1 + 1?", Recipe(model=model, temperature=0.0), spend="auto")


def test_python_has_the_same_run(model: str) -> None:
    recipe = Recipe(model=model, max_tokens=5)
    run = ask("1 + 1?", recipe, spend="auto", value="8x")
    assert len(run["decisions"]) == len(run["candidates"]) + 1 > 1
    assert "@spend(value='8x')" in run["recipe"]


def test_an_answer_that_does_not_pay_is_no_answer(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["ask", "1 + 1?", "-m", model, "--spend", "auto", "--value", "1FLOP"]
    assert exit_code([*asked, "--json"]) == 5
    run = json.loads(capsys.readouterr().out)
    assert run["finish"] == "abstained"
    assert run["cost"]["flops"] == run["cost"]["output_tokens"] == 0


LINES = "The moon is far. " * 12
METHOD = "bm25(keep=0.3)"
CERTAIN = {
    # A right answer is expected behind one of both prompts alone.
    "target": "@spend(n=1, success=0.9, shortened=true, shortened_success=0.02)",
    "shortened": "@spend(n=1, success=0.02, shortened=true, shortened_success=0.9)",
    "vote": "@majority-vote(n=1)",
}


@pytest.fixture(scope="module")
def certain(model: str) -> dict[str, dict[str, Any]]:
    """One answer behind either prompt, and a vote behind the shortened one."""
    return {
        name: ask("Where is it?", f"{model}+{METHOD}{how}", document=LINES)
        for name, how in CERTAIN.items()
    }


def test_each_prompt_is_read_and_priced_alone(certain: dict[str, dict[str, Any]]) -> None:
    for writer in ("target", "shortened"):
        run = certain[writer]
        assert [one["writer"] for one in run["candidates"]] == [writer]
        first = run["decisions"][0]
        prices = {one["way"]: one["price"] for one in first["alternatives"] if one["way"]}
        assert 0 < prices["shortened"] < prices["target"]
    whole, short, vote = (certain[name] for name in CERTAIN)
    # The shortened way equals a recipe that shortens every prompt, token for token.
    assert short["candidates"][0]["text"] == vote["candidates"][0]["text"]
    assert short["cost"]["flops"] == vote["cost"]["flops"] < whole["cost"]["flops"]
    assert whole["kept"]["prompt_tokens"] == whole["kept"]["of"] == short["kept"]["of"]
    assert short["kept"]["prompt_tokens"] == vote["kept"]["prompt_tokens"] < short["kept"]["of"]


def test_a_run_pays_once_for_each_prompt_that_it_reads(
    model: str,
    certain: dict[str, dict[str, Any]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "moon.txt").write_text(LINES)
    asked = ["ask", "Where is it?", "-m", model, "-f", str(tmp_path / "moon.txt"), "-x", METHOD]
    exit_code([*asked, "--spend", "auto", "--value", "20x", "--max-tokens", "5", "--json"])
    run = json.loads(capsys.readouterr().out)
    assert f"{METHOD}@spend(" in run["recipe"]
    told = [one["chosen"]["way"] for one in run["decisions"] if one["chosen"]["way"]]
    assert [one["writer"] for one in run["candidates"]] == told
    assert run["decisions"][-1]["spent"] == run["cost"]["flops"] > 0
    read = sum(certain[way]["cost"]["prompt_tokens"] for way in set(told))
    assert run["cost"]["prompt_tokens"] == read


def test_stored_answers_of_both_prompts_give_their_rates(model: str) -> None:
    recipe = Recipe(model=model, approximate=("bm25(keep=0.25)",))
    plain = Recipe(model=model)
    both = [sample(recipe=one.label, question=f"q{n}", score=float(n < most))
            for one, most in ((plain, 20), (recipe, 15)) for n in range(25)]  # fmt: skip
    more = [sample(recipe=plain.label, question=f"more{n}", score=0.0) for n in range(25)]
    found = spending(recipe, samples=[*both, *more]).search
    assert "success=0.8" in found  # of the common questions
    assert "shortened_success=0.6" in found
    few = spending(recipe, samples=both[:40]).search
    assert "success=0.8" in few
    assert "shortened_success" not in few
    assert "shortened=true" in few
    assert "shortened" not in spending(plain, samples=both).search


def test_a_shortened_prompt_needs_a_method(model: str) -> None:
    with pytest.raises(UsageError, match="no method shortens it"):
        ask("1 + 1?", f"{model}@spend(shortened=true)")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--spend", "all"], "spending rule"),
        (["--value", "1x"], "stakes of --spend"),
        (["--spend", "auto", "--value", "much"], "no value of a right answer"),
        (["--spend", "auto", "-s", "greedy"], "leave one of them out"),
        (["--spend", "auto", "--then", "Why?"], "leave out --then"),
    ],
)
def test_bad_stakes(
    model: str, words: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(["ask", "1 + 1?", "-m", model, *words]) == 2
    assert problem in capsys.readouterr().err


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORETHOUGHT_RESULTS", str(tmp_path / "results.sqlite"))


def test_a_stored_run_is_listed_shown_replayed_and_exported(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["ask", "1 + 1?", "-m", model, "--spend", "auto", "--value", "8x", "--max-tokens", "5"]
    exit_code([*asked, "--penalty", "1", "--json"])
    run = json.loads(capsys.readouterr().out)

    assert exit_code(["runs", "list"]) == 0
    listed = " ".join(capsys.readouterr().out.split())  # wrapped after long paths
    assert run["run"] in listed
    assert "1 + 1?" in listed

    assert exit_code(["runs", "show", run["run"], "--why"]) == 0
    why = capsys.readouterr().out
    assert why.count("belief (not calibrated)") == len(run["decisions"])
    assert "▶ abstain" in why

    assert exit_code(["runs", "export", run["run"]]) == 0
    held = json.loads(capsys.readouterr().out)
    assert held["question"] == "1 + 1?"
    assert held["events"][-1]["data"]["run"] == run

    assert exit_code(["runs", "replay", run["run"], "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == held["events"]


def test_runs_at_different_prices_are_stored_beside_each_other(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["ask", "1 + 1?", "-m", model, "--spend", "auto", "--value", "8x", "--max-tokens", "5"]
    runs = []
    for price in ([], ["--usd-per-hour", "2"], ["--usd-per-hour", "3"], ["--usd-per-hour", "2"]):
        exit_code([*asked, *price, "--json"])
        runs.append(json.loads(capsys.readouterr().out))
    names = [one["run"] for one in runs]

    assert len(set(names)) == 3
    assert names[1] == names[3]
    exit_code(["runs", "list", "--json"])
    listed = {one["id"]: one["cost"]["usd"] for one in json.loads(capsys.readouterr().out)}
    assert set(listed) == set(names)
    assert listed[names[2]] == runs[2]["cost"]["usd"]
    assert listed[names[2]] == pytest.approx(3 * runs[2]["cost"]["seconds"] / 3600)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["sow"], "action of runs"),
        (["show"], "takes one id, not 0"),
        (["list", "a"], "takes no id, not 1"),
        (["show", "a"], "no run is stored, so none is called 'a'\n\nhint: store one: "),
        (["list", "--why"], "explains one run"),
    ],
)
def test_bad_words_of_runs(
    words: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(["runs", *words]) == 2
    assert problem in capsys.readouterr().err


def test_texts_that_may_be_withheld_are_no_events(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["ask", "1 + 1?", "-m", model, "--spend", "auto", "--value", "8x", "--max-tokens", "5"]
    kinds = []
    for stakes in ([], ["--penalty", "1"]):
        exit_code([*asked, *stakes, "--jsonl", "-q"])
        lines = capsys.readouterr().out.splitlines()
        kinds.append({json.loads(line)["kind"] for line in lines})
    assert kinds[0] - kinds[1] == {"candidate"}
    assert "decision" in kinds[1]

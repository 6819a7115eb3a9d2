"""`forecast` as a command, on what `compare` kept, and reports of `evaluate`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from forethought.beliefs.expected import DescribedScore
from forethought.cli.main import exit_code
from forethought.contracts.beliefs import Counts
from forethought.storage.store import Store
from tests.cli.tiny_folder import write_tiny_model

TASK = "addition(digits=1, count=3)"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_model(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(scope="module")
def kept(model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results file that a comparison filled."""
    folder = tmp_path_factory.mktemp("kept")
    file = folder / "r.sqlite"
    asked = ["compare", "best-of-n(n=4)@likelihood", "-m", model, "-t", TASK, "--max-tokens", "8"]
    assert exit_code([*asked, "--results", str(file), "-o", str(folder / "r.json"), "-q"]) == 0
    return file


def test_a_comparison_counts_a_vote_and_spends_tokens(kept: Path) -> None:
    found = json.loads((kept.parent / "r.json").read_text("utf-8"))
    exact, best, vote = found["standings"]

    assert vote["counted_from"] == best["recipe"]
    assert "majority-vote(n=4)" in vote["recipe"]
    assert exact["tokens"] < vote["tokens"] == best["tokens"]
    assert [one["answers"] for one in best["fewer"]] == [1, 2]
    assert [one["recipe"] for one in found["equal"][0]["afforded"]] == [
        one["recipe"] for one in found["standings"]
    ]


def test_a_forecast_writes_its_reports_without_torch(
    kept: Path, model: str, tmp_path: Path
) -> None:
    reports = [tmp_path / f"f.{kind}" for kind in ("html", "md", "csv", "json")]
    arguments = ["forecast", "-m", model, "-t", TASK, "--results", str(kept)]
    arguments += ["--false-positives", "0.1"]
    arguments += [option for file in reports for option in ("-o", str(file))]
    code = (
        "import sys; from forethought.cli.main import exit_code; "
        f"code = exit_code({arguments!r}); print('torch' in sys.modules); sys.exit(code)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.endswith("False\n")
    assert "3 questions, 4 answers to each" in done.stdout
    assert "are too few to look ahead" in done.stdout
    assert "3 questions are too few for the law of their success rates" in done.stdout
    assert reports[0].read_text("utf-8").startswith("<!DOCTYPE html>")
    assert reports[1].read_text("utf-8").count("|") > 20
    assert reports[2].read_text("utf-8").startswith("recipe,task,")
    (curve,) = json.loads(reports[3].read_text("utf-8"))["curves"]
    assert [one["answers"] for one in curve["reached"]] == [1, 2, 4]


def test_how_right_every_whole_answer_is_was_kept(kept: Path) -> None:
    with Store.open(kept) as store:
        runs = [sample.run for sample in store.samples() if "best-of-n" in sample.recipe]

    assert len(runs) == 3
    for run in runs:
        assert [one["right"] for one in run["candidates"]] == [0.0] * 4


def test_a_forecast_in_json_is_one_document(
    kept: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["forecast", "best-of-n(n=4)@likelihood", "-m", model, "-t", TASK, "--json"]

    assert exit_code([*arguments, "--results", str(kept)]) == 0

    assert len(json.loads(capsys.readouterr().out)["curves"]) == 1


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["-t", "brackets"], "holds no answers"),
        (["-t", TASK, "majority-vote(n=9)"], "holds no answers"),
        ([], "there is no task"),
        (["-t", TASK, "--false-positives", "2"], "a share of 2 for false positives"),
        (["-t", TASK, "-o", "f.pdf"], "has no known report format"),
    ],
)
def test_what_nothing_tells_is_refused_with_a_way_out(
    kept: Path, model: str, more: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(["forecast", "-m", model, "--results", str(kept), *more]) == 2

    err = capsys.readouterr().err
    assert said in err
    assert "hint: " in err


def test_evaluate_writes_reports_that_repeat(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(results: str) -> list[str]:
        files = [tmp_path / f"{results}.{kind}" for kind in ("html", "md", "csv", "json")]
        arguments = ["evaluate", "-m", model, "-t", TASK, "--max-tokens", "4", "--json"]
        arguments += ["--results", str(tmp_path / f"{results}.sqlite")]
        arguments += [option for file in files for option in ("-o", str(file))]
        assert exit_code(arguments) == 0
        return [capsys.readouterr().out, *(file.read_text("utf-8") for file in files)]

    first, again = run("first"), run("again")

    assert first == again
    assert json.loads(first[0]) == json.loads(first[-1])
    assert "first_token" not in first[0]
    assert json.loads(first[0])["standings"][0]["questions"] == 3


def test_evaluate_refuses_a_report_that_it_cannot_write(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(["evaluate", "-m", model, "-t", TASK, "-o", "r.pdf"]) == 2
    assert "has no known report format" in capsys.readouterr().err


def test_a_description_gives_a_weak_forecast_from_the_results_file(
    kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["forecast", "--describe", "addition of two numbers", "--results", str(kept)]

    assert exit_code(arguments) == 0
    said = capsys.readouterr().out
    assert exit_code([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)

    assert said.startswith("Expected score: ")
    assert "Weak evidence: words alone, and not calibrated." in " ".join(said.split())
    assert found["past"] == len(found["similar"]) == 2
    assert found["score"]["low"] < found["score"]["value"] < found["score"]["high"]
    assert found["similar"][0]["task"].startswith("addition")


@pytest.mark.parametrize("more", [["-t", TASK], ["majority-vote"], ["-o", "f.html"]])
def test_a_description_stands_alone(
    kept: Path, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(["forecast", "--describe", "x", "--results", str(kept), *more]) == 2
    assert "leave them out" in capsys.readouterr().err


def test_first_results_update_a_description(tmp_path: Path, capsys) -> None:
    line = ["forecast", "--describe", "sums of two digits", "--results", str(tmp_path / "r.sqlite")]

    assert exit_code([*line, "--seen", "7/10", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert exit_code([*line, "--seen", "7/10"]) == 0
    text = capsys.readouterr().out

    prior = DescribedScore(()).condition("sums of two digits")
    exact = prior.given(Counts.of(10, [7]))
    assert found["seen"] == [7, 10]
    assert found["updated"]["value"] == pytest.approx(exact.mean[0])
    assert found["updated"]["low"] == pytest.approx(exact.interval()[0, 0])
    assert "After 7 right of 10" in text
    assert "No past results are stored" in " ".join(text.split())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--describe", "sums", "--seen", "11/10"], "is no result"),
        (["--describe", "sums", "--seen", "seven"], "is no result"),
        (["--describe", "sums", "--seen", "0/0"], "is no result"),
        (["--describe", "sums", "--pfn", "x"], "no results are seen"),
        (["-t", TASK, "--seen", "1/2"], "--seen updates a description"),
    ],
)
def test_first_results_that_are_none_are_refused(options, said, capsys) -> None:
    assert exit_code(["forecast", *options]) == 2
    assert said in " ".join(capsys.readouterr().err.split())

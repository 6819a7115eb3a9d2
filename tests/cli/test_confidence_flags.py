"""Confidence on the command line: evaluated, calibrated, named in an answer, and withheld."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from forethought.cli.main import exit_code
from forethought.storage.calibrations import CALIBRATIONS
from tests.cli.tiny_folder import write_tiny_model

TASK = "addition(digits=1, count=24)"
SURE = ["--confidence", "likelihood", "--confidence", "agreement(n=2)"]
VOTE = ["-s", "majority-vote(n=2)", "--max-tokens", "5", *SURE]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_model(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(scope="module")
def kept(model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("kept") / "r.sqlite"
    asked = ["evaluate", "majority-vote(n=2)", "-m", model, "-t", TASK, "--max-tokens", "5", *SURE]
    assert exit_code([*asked, "--results", str(file), "-q"]) == 0
    return file


def test_stored_answers_are_calibrated_and_answers_name_the_fit(
    model: str,
    kept: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "calibrations.json"
    monkeypatch.setenv(CALIBRATIONS, str(file))
    tune = ["tune", "--calibrate", "platt", "-m", model, "-t", TASK, "--results", str(kept)]
    assert exit_code([*tune, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {one["method"] for one in told["methods"]} == {"likelihood", "agreement(n=2)"}
    assert {one["questions"] for one in told["methods"]} == {24}

    assert exit_code(["ask", "1 + 1?", "-m", model, *VOTE, "--json"]) == 0
    sure = json.loads(capsys.readouterr().out)["confidence"]
    assert sure["calibrated"] is True
    assert sure["calibration"]["kind"] == "platt"
    assert sure["calibration"]["tasks"] == ["addition(digits=1)"]

    # A random model is never right, so a calibrated confidence is near 0.
    asked = ["ask", "1 + 1?", "-m", model, *VOTE, "--abstain-below", "0.6"]
    assert exit_code(asked) == 5
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "(likelihood, calibrated) is below 0.6" in " ".join(shown.err.split())
    assert "calibrated (platt; error" in " ".join(shown.err.split())


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["tune", "--calibrate", "isotonik"], "did you mean isotonic?"),
        (["tune", "greedy", "--calibrate", "best"], "strategies are named"),
        (["tune", "--calibrate", "best", "-o", "x.txt"], "no known report format"),
        (["ask", "q", "--abstain-below", "0.5"], "no confidence is named"),
        (["ask", "q", "--abstain-below", "1.5", "--confidence", "p-true"], "must be 0 to 1"),
        (["ask", "q", "--confidence", "p-treu"], "did you mean p-true?"),
        (["ask", "q", "--confidence", "p-true", "--samples", "3"], "-s 'majority-vote(n=3)'"),
        (["ask", "q", "--confidence", "p-true", "--then", "r"], "leave out"),
    ],
)
def test_what_is_refused_is_said_with_what_to_do(
    model: str, arguments: list[str], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code([*arguments, "-m", model]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert error in " ".join(shown.err.split())


def test_a_file_without_confidences_is_said_with_a_command(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["tune", "--calibrate", "best", "-m", model, "--results", str(tmp_path / "no.sqlite")]
    assert exit_code(asked) == 2
    assert "forethought evaluate" in capsys.readouterr().err


def test_a_resumed_evaluation_shows_how_sure_its_answers_are(
    model: str, kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["evaluate", "majority-vote(n=2)", "-m", model, "-t", TASK, "--max-tokens", "5", *SURE]
    again = [*asked, "--results", str(kept), "-q"]
    assert exit_code([*again, "--abstain-below", "0.3", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["standings"]
    told = [(held["method"], held["answers"], held["level"]) for held in one["confidence"]]
    assert told == [("likelihood", 24, 0.3), ("agreement(n=2)", 24, 0.3)]
    assert one["unparsable"] > 0  # a random model states no sums
    assert exit_code(again) == 0
    shown = capsys.readouterr().out
    assert "How sure the answers are" in shown
    assert "Answers without a readable result" in shown
    assert exit_code([*again, "--abstain-below", "2"]) == 2
    assert "--abstain-below 2.0" in capsys.readouterr().err

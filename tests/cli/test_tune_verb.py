"""`tune` as a command, on what `compare` kept, and its plan in use."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from forethought.cli.main import exit_code
from tests.cli.tiny_folder import write_tiny_model

TASK = "addition(digits=1, count=16)"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_model(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(scope="module")
def kept(model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("kept") / "r.sqlite"
    asked = ["compare", "majority-vote(n=4)", "-m", model, "-t", TASK, "--max-tokens", "6"]
    assert exit_code([*asked, "--results", str(file), "-q"]) == 0
    return file


def tune(model: str, kept: Path, *more: str) -> list[str]:
    named = ["tune", "greedy", "majority-vote(n=3)", "-m", model, "-t", TASK]
    return [*named, "--results", str(kept), "--probe", "2", "--bins", "2", *more]


def test_a_plan_is_written_without_torch_and_followed(
    model: str, kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = tmp_path / "plan.json"
    arguments = tune(model, kept, "-o", str(plan), "--json")
    code = (
        "import sys; from forethought.cli.main import exit_code; "
        f"code = exit_code({arguments!r}); print('torch' in sys.modules, file=sys.stderr); "
        "sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stderr == "False\n"
    found = json.loads(done.stdout)
    assert found["questions"] == 16
    assert set(found["strategies"]) == {"greedy", "majority-vote(n=3)"}
    assert json.loads(plan.read_text("utf-8"))["kind"] == "forethought difficulty plan"
    router = f"difficulty-router(plan='{plan}', digest={found['digest']})"
    asked = ["ask", "1 + 1?", "-m", model, "-s", router, "--max-tokens", "6", "--json"]
    assert exit_code(asked) == 0
    assert json.loads(capsys.readouterr().out)["candidates"]


def test_what_is_refused_is_said_with_what_to_do(
    model: str, kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(tune(model, kept, "--bins", "3")) == 2
    assert "16 independent questions are too few for 3 bins" in capsys.readouterr().err
    assert exit_code(tune(model, kept, "--by", "mood")) == 2
    assert "known: agreement, likelihood" in capsys.readouterr().err
    assert exit_code(tune(model, kept, "-o", "plan.txt")) == 2
    asked = ["ask", "Why?", "-m", model, "-s", f"difficulty-router(plan='{tmp_path}/none.json')"]
    assert exit_code(asked) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert exit_code(["ask", "Why?", "-m", model, "-s", "cascade"]) == 2
    assert "none is named" in capsys.readouterr().err


def test_a_small_model_is_named_by_d_and_said_to_have_written(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = str(write_tiny_model(tmp_path / "small"))
    asked = ["ask", "Why?", "-m", model, "-d", small, "--max-tokens", "6", "-s"]
    assert exit_code([*asked, "cascade(n=2, sure=0.0)"]) == 0
    assert "tok  draft" in capsys.readouterr().err
    assert exit_code([*asked, "cascade(n=2, sure=2.0)", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["writer"] for one in found["candidates"]] == ["draft", "draft", "target"]
    assert found["cost"]["draft_tokens"] > found["cost"]["output_tokens"] > 0

"""`evaluate` and `compare` as commands: killed and run again, and what they refuse."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path

import pytest

from forethought.cli.arena import bar_line, duration
from forethought.cli.main import exit_code
from forethought.models.compiled.build import SWITCH
from forethought.storage.store import Store
from tests.cli.tiny_folder import write_tiny_model

TASKS = ["-t", "niah-single-1(tokens=700, count=3)", "-t", "vt(tokens=700, count=2)"]
ARGUMENTS = ["exact", "snapkv", "streaming-llm", "--keep", "330", *TASKS]
TOTAL = 15


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    cache = tmp_path_factory.mktemp("cache")
    # In a fresh cache each process would compile kernels.
    return {
        **os.environ,
        "FORETHOUGHT_CACHE": str(cache),
        "OMP_NUM_THREADS": "1",
        SWITCH: "0",
    }


Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(model: Path, environment: dict[str, str]) -> Start:
    def begin(*arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "forethought", *arguments, "-m", str(model)]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
        )

    return begin


def kept(file: Path) -> int:
    if not file.exists():
        return 0
    with Store.open(file) as store:
        return len(store.samples())


def finished(process: subprocess.Popen[bytes]) -> bytes:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err.decode()
    return out


@pytest.mark.slow
def test_killed_at_any_moment_and_run_again_it_prints_the_same(
    start: Start, tmp_path: Path
) -> None:
    whole = finished(start("evaluate", *ARGUMENTS, "--results", str(tmp_path / "whole.sqlite")))

    results, moments = tmp_path / "killed.sqlite", random.Random(0)
    seen = [0]
    for _ in range(2):
        process = start("evaluate", *ARGUMENTS, "--results", str(results))
        aim = seen[-1] + moments.randint(1, 4)
        while process.poll() is None and kept(results) < aim:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        seen.append(kept(results))
    again = finished(start("evaluate", *ARGUMENTS, "--results", str(results)))

    assert seen == sorted(seen)
    assert 0 < seen[1] < TOTAL
    assert kept(results) == TOTAL
    assert again == whole


def test_a_comparison_writes_its_reports(start: Start, tmp_path: Path) -> None:
    reports = [tmp_path / f"report.{kind}" for kind in ("html", "md", "csv", "json")]
    options = [option for file in reports for option in ("-o", str(file))]

    out = finished(
        start(
            "compare",
            "snapkv",
            "--keep",
            "330",
            "-t",
            "vt(tokens=700, count=2)",
            "--results",
            str(tmp_path / "r.sqlite"),
            *options,
        )
    )

    assert b"snapkv(keep=330)" in out
    page = reports[0].read_text("utf-8")
    HTMLParser().feed(page)
    assert "snapkv(keep=330)" in page
    assert reports[1].read_text("utf-8").count("|") > 10
    assert reports[2].read_text("utf-8").startswith("recipe,")
    found = json.loads(reports[3].read_text("utf-8"))
    assert [one["questions"] for one in found["standings"]] == [2, 2]
    assert "forethought compare" in found["provenance"]["command"]


def failed(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    code = exit_code(list(arguments))
    err = capsys.readouterr().err
    assert code in (1, 2), err
    return err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["evaluate"], "there is no task"),
        (["evaluate", "-t", "rule"], "no task is called 'rule'"),
        (["evaluate", "snap-kv", "-t", "vt"], "no method is called"),
        (["evaluate", "snapkv(keep=0)", "-t", "vt"], "must be at least 1"),
        (["evaluate", "specpc(keep=1.5)", "-t", "vt"], "must be a share from 0 to 1"),
        (["evaluate", "snapkv", "--keep", "8 apples", "-t", "vt"], "bytes such as 8MiB"),
        (["evaluate", "auto", "-t", "vt"], "auto chooses methods for one prompt"),
        (["compare", "-t", "vt", "-o", "r.pdf"], "has no known report format"),
        (["evaluate", "-t", "vt", "--json", "--csv"], "exclude each other"),
        (["compare", "-t", "vt", "-o", "none/r.html"], "there is no folder"),
        (["evaluate", "-t", "gsm8k(path='none.jsonl')"], "none.jsonl"),
        (["evaluate", "-t", "niah-single-2(haystack='none.txt')"], "none.txt"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_way_out(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FORETHOUGHT_RESULTS", str(tmp_path / "r.sqlite"))
    arguments = [*arguments, "-m", str(write_tiny_model(tmp_path / "tiny"))]

    err = failed(arguments, capsys)

    assert said in err
    assert "hint: " in err


def test_a_bad_line_is_named_and_can_be_left_out(
    start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "sums.jsonl"
    good = '{"id": "s%d", "question": "1 + %d?", "answer": "%d"}'
    file.write_text("\n".join([good % (0, 1, 2), "{broken", good % (2, 2, 3)]) + "\n")
    options = ["-t", f"gsm8k(path='{file}')", "--results", str(tmp_path / "r.sqlite")]

    refused = start("evaluate", *options)
    _, err = refused.communicate(timeout=120)
    assert refused.returncode == 2
    assert b"sums.jsonl" in err
    assert b"line 2" in err

    left_out = start("evaluate", *options, "--skip-bad", "--max-tokens", "4")
    out, err = left_out.communicate(timeout=120)
    assert left_out.returncode == 0, err.decode()
    assert b"2 questions" in out
    assert b"line 2" in err


def test_the_bar_says_how_fast_and_how_long() -> None:
    assert bar_line(0, 0, 40, 0.0) == "░" * 24 + " 0 of 40"
    assert bar_line(30, 10, 40, 20.0) == "█" * 18 + "░" * 6 + " 30 of 40 · 0.5/s · 20 s left"
    assert [duration(s) for s in (59.4, 60, 3599, 3600, 7325)] == [
        "59 s", "1 min 00 s", "59 min 59 s", "1 h 00 min", "2 h 02 min",
    ]  # fmt: skip

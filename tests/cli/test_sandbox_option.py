"""Asking for all walls of the sandbox, on this kernel and on one without them."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.tiny_folder import write_tiny_model

ROOT = Path(__file__).parents[2]
ROW = {
    "task_id": "Mine/0",
    "prompt": 'def twice(x):\n    """ Twice x. """\n',
    "entry_point": "twice",
    "test": "def check(candidate):\n    assert candidate(2) == 4\n",
}
COMMAND = """
import sys
from tests.tasks.attacks.kernels import take_away
if sys.argv[1]:
    take_away(sys.argv[1].split(","))
from forethought.cli.main import run
run(sys.argv[2:])
"""


def evaluated(folder: Path, lacking: str, *options: str) -> subprocess.CompletedProcess[str]:
    file = folder / "rows.jsonl"
    file.write_text(json.dumps(ROW) + "\n")
    model = folder / "tiny"
    if not model.exists():
        write_tiny_model(model)
    words = ["evaluate", "-m", str(model), "-t", f"humaneval(path='{file}')", "--max-tokens", "4"]
    words += ["--results", str(folder / "kept.sqlite"), *options]
    return subprocess.run(
        [sys.executable, "-c", COMMAND, lacking, *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])},
    )


def kept(folder: Path) -> int:
    """How many answers there are."""
    with closing(sqlite3.connect(folder / "kept.sqlite")) as store:
        (count,) = store.execute("SELECT count(*) FROM samples").fetchone()
    return int(count)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="takes walls of Linux away")
def test_strict_refuses_before_anything_is_asked_and_otherwise_it_is_noted(tmp_path: Path) -> None:
    lacking = "namespaces,landlock,seccomp"

    refused = evaluated(tmp_path, lacking, "--sandbox", "strict")
    assert refused.returncode == 2, refused.stderr
    assert "error: this system does not keep programs from: files, network" in refused.stderr
    assert "hint: " in refused.stderr
    assert kept(tmp_path) == 0

    noted = evaluated(tmp_path, lacking)
    assert noted.returncode == 0, noted.stderr
    assert kept(tmp_path) == 1
    assert "programs ran without these isolation layers: files, network" in noted.stderr


def test_other_words_are_refused(tmp_path: Path) -> None:
    refused = evaluated(tmp_path, "", "--sandbox", "loose")

    assert refused.returncode == 2
    assert "--sandbox 'loose' must be strict or available" in refused.stderr
    assert "strict" in refused.stderr

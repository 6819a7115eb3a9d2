"""Mutants of every kind are refused with an error of ours, or used; nothing else happens.

A failure names the seed: `python -m tests.fuzz.harness KIND SEED 1` makes that mutant again.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
KINDS = ("gguf", "folder", "tokenizer", "template")
FEW, MANY, TOGETHER = 12, 20_000, 2_000


def run(kinds: str, first: int, count: int) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "tests.fuzz.harness", kinds, str(first), str(count)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_few_mutants_of_each_kind_are_refused_or_used() -> None:
    for found in run(",".join(KINDS), 0, FEW):
        assert found["failures"] == [], found["kind"]
        assert found["refused"] + found["accepted"] == FEW
        assert min(found["refused"], found["accepted"]) > 0, "too tame, or too wild"


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, MANY, TOGETHER))
@pytest.mark.parametrize("kind", KINDS)
def test_many_mutants_are_refused_or_used(kind: str, first: int) -> None:
    (found,) = run(kind, first, TOGETHER)

    assert found["failures"] == []
    assert found["refused"] + found["accepted"] == TOGETHER


@pytest.mark.slow
def test_what_the_harness_is_for_is_seen() -> None:
    (found,) = run("planted", 0, 6)

    what = {failure["seed"]: failure["what"] for failure in found["failures"]}
    assert found["accepted"] == found["refused"] == 1
    assert what[2].startswith("KeyError:")
    assert what[3] == "the process ended with -6"
    assert what[4] == "takes more than 5 s"
    assert what[5].endswith("MiB")

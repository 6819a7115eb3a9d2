"""Chromium and a server of recorded runs, for tests that drive the page."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from forethought.storage.run_log import RunLog
from tests.server.page.replaying_server import Recorded, serving, stored_samples

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.server.page.chromium import Watched

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    driver = pytest.importorskip("playwright.sync_api", reason="needs a driver of browsers")
    if PROGRAM is None:
        pytest.skip("there is no Chromium")
    with driver.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=PROGRAM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    """The answers of the server, and the requests it has seen."""
    return Recorded(RunLog.open(tmp_path / "runs.sqlite"))


@pytest.fixture
def opened(browser: Browser, recorded: Recorded) -> Iterator[Callable[..., Watched]]:
    """Opens the page with these options of a browser's context."""
    from tests.server.page.chromium import Watched

    made: list[Watched] = []
    with serving(recorded, stored_samples()) as address:

        def open_page(path: str = "/", **options: Any) -> Watched:
            shown = {"viewport": {"width": 1440, "height": 900}, **options}
            watched = Watched(browser.new_context(**shown).new_page(), address)
            made.append(watched)
            return watched.open(path)

        yield open_page
        for one in made:
            one.page.context.close()
    for one in made:
        one.check()

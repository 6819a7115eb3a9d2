"""A page in headless Chromium that fails its test for console errors and for foreign requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

pytest.importorskip("playwright", reason="needs a driver of browsers")

from playwright.sync_api import Page


@dataclass
class Watched:
    """A page, and everything that must not happen in it."""

    page: Page
    address: str
    allowed: tuple[str, ...] = ()
    """Texts of console errors that a test expects."""
    hosts: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(8_000)
        self.page.on("request", lambda one: self.hosts.add(urlsplit(one.url).netloc))
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda one: self.errors.append(str(one)))
        self.page.on("dialog", self._dialog)

    def check(self) -> None:
        unexpected = [one for one in self.errors if not any(text in one for text in self.allowed)]
        assert unexpected == []
        assert self.dialogs == []
        assert self.hosts <= {urlsplit(self.address).netloc, ""}

    def open(self, path: str = "/") -> Watched:
        self.page.goto(self.address + path)
        self.page.locator("body.ready").wait_for()
        return self

    def ask(self, question: str) -> None:
        """Ask and wait until the run is shown and listed."""
        self.page.fill("#question", question)
        self.page.click("#ask")
        self.wait_until_done()

    def wait_until_done(self) -> None:
        self.page.locator("#status", has_text="Done").wait_for()
        self.page.locator("#runs-list .opened").wait_for()

    def run_id(self) -> str:
        shown = self.page.locator("#runs-list .opened").get_attribute("data-run")
        assert shown
        return shown

    def json(self, path: str) -> Any:
        """What the server answers, asked from inside the page."""
        return self.page.evaluate("path => fetch(path).then((answer) => answer.json())", path)

    def markup(self) -> dict[str, str]:
        """The DOM of each view of the run."""
        return {
            name: self.page.locator(f"#{name}").evaluate("node => node.innerHTML")
            for name in ("answer", "prompt", "tree", "cost")
        }

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def _dialog(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()


def choose(watched: Watched, method: str = "", search: str = "") -> None:
    """Add a method and a search to the recipe."""
    if method:
        watched.page.select_option("#add-method select", method)
        watched.page.click("#add-method button")
    if search:
        watched.page.select_option("#add-search select", search)
        watched.page.click("#add-search button")


def probe(name: str) -> str:
    """The text of a script that runs inside the page."""
    return (Path(__file__).parent / name).read_text("utf-8")


Opened = Callable[..., Watched]
"""The fixture that opens the page."""

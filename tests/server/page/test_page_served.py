"""The page of a real server: the engine answers, the log keeps, a killed server restarts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.page.chromium import Watched, choose  # skips without playwright

# isort: split
from playwright.sync_api import Browser, expect

from forethought.models.model import Model
from forethought.recipes.recipe import Recipe
from forethought.sessions.ask import ask
from forethought.storage.location import VARIABLE
from tests.server.page import recordings
from tests.server.served import serving
from tests.storage.started import ROOT

pytestmark = pytest.mark.slow

DOCUMENT = (ROOT / "examples" / "lighthouse.txt").read_text("utf-8")
QUESTION = "Where is the spare key to the tower?"


@pytest.fixture(scope="module")
def address(smollm2: Model) -> Iterator[str]:
    with serving({"smollm2": smollm2, "small": smollm2}, recipe=Recipe()) as served:
        yield served.url


@pytest.fixture
def watched(browser: Browser, address: str) -> Iterator[Watched]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    found = Watched(context.new_page(), address)
    found.page.set_default_timeout(60_000)
    yield found.open()
    context.close()
    found.check()


def test_an_answer_by_specpc_is_that_of_the_command_line(watched: Watched) -> None:
    choose(watched, "specpc")
    watched.page.locator("#methods").get_by_label("keep", exact=True).fill("0.25")
    watched.page.fill("#document", DOCUMENT)
    watched.ask(QUESTION)

    run = watched.json(f"/v1/runs/{watched.run_id()}")
    alone = ask(QUESTION, "smollm2+specpc(keep=0.25)", document=DOCUMENT)
    assert run["answer"] == alone["answer"]
    assert run["kept"]["positions"] == list(alone["kept"]["positions"])
    assert (
        "".join(watched.page.locator("#answer .tokens .t").all_text_contents()) == alone["answer"]
    )
    cells = watched.page.locator("#prompt .strip .cell").evaluate_all(
        "cells => cells.map(({dataset: d}) => [+d.from, +d.to, +d.share])"
    )
    kept = set(alone["kept"]["positions"])
    for start, stop, share in cells:
        inside = len(kept.intersection(range(start, stop)))
        assert share == pytest.approx(inside / (stop - start), abs=1e-4)
    struck = "".join(watched.page.locator("#prompt del").all_text_contents())
    tokens = run["prompt"]["tokens"]
    assert struck == "".join(text for n, text in enumerate(tokens) if n not in kept)
    assert "lighthouse" in "".join(tokens)


def test_every_token_has_its_alternatives(watched: Watched) -> None:
    watched.ask("What is the capital of France?")

    tokens = watched.page.locator("#answer .tokens .t")
    tokens.nth(1).hover()
    expect(watched.page.locator("#tip .alternatives > div")).to_have_count(5)


def test_the_tree_grows_while_a_particle_filter_runs(watched: Watched) -> None:
    choose(watched, search="particle-filter")
    watched.page.locator("summary", has_text="Sampling").click()
    watched.page.fill("#max_tokens", "150")
    watched.page.fill("#question", recordings.question("particle-filter"))
    watched.page.click("#ask")
    nodes, sizes = watched.page.locator("#tree .node"), []
    while not watched.page.locator("#status", has_text="Done").count():
        sizes.append(nodes.count())
    watched.wait_until_done()

    run = watched.json(f"/v1/runs/{watched.run_id()}")
    assert len(set(sizes)) > 3
    assert sizes == sorted(sizes)
    assert watched.page.locator("#tree .node text").count() == len(run["candidates"]) == 4
    assert watched.page.locator("#answer .tokens").text_content() == run["answer"]


def test_runs_replay_as_they_were(watched: Watched) -> None:
    choose(watched, "snapkv")
    watched.page.locator("#methods").get_by_label("keep", exact=True).fill("0.25")
    watched.page.fill("#document", DOCUMENT)
    watched.ask(QUESTION)
    live, identifier = watched.markup(), watched.run_id()

    watched.page.reload()
    watched.page.locator(f'#runs-list .opened[data-run="{identifier}"]').wait_for()

    assert watched.markup() == live
    assert watched.page.locator("#methods .chip").get_attribute("data-name") == "snapkv"


def test_live_figures_show_the_prefix_cache(watched: Watched) -> None:
    watched.page.fill("#document", DOCUMENT)
    watched.ask(QUESTION)
    watched.ask("Who is the doctor of the village?")
    watched.page.click("#tab-live")

    hits = watched.page.locator("#live .tile", has_text="prefix hits").locator("strong")
    expect(hits).not_to_have_text("0.0 %")
    live = watched.json("/v1/live")
    assert live["prefix_hit_tokens"] > 1000
    assert live["running"] == live["waiting"] == 0


def test_an_unknown_setting_is_told_with_its_hint(watched: Watched) -> None:
    watched.allowed = ("status of 400",)
    watched.page.locator("summary", has_text="Sampling").click()
    watched.page.fill("#budget", "five dollars")
    watched.page.fill("#question", "Why?")
    watched.page.click("#ask")

    expect(watched.page.locator("#answer .error")).to_contain_text("error: ")
    expect(watched.page.locator("#answer .error")).to_contain_text("hint: ")
    assert ". Hint:" not in (watched.page.locator("#answer .error").text_content() or "")


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_runs_of_a_killed_server_are_there_after_a_restart(
    browser: Browser, smollm2: Model, tmp_path: Path
) -> None:
    with started_server(tmp_path) as first:
        watched = Watched(browser.new_page(), first.address)
        watched.page.set_default_timeout(60_000)
        watched.open().ask("What is the capital of France?")
        live, identifier = watched.markup(), watched.run_id()
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
        watched.page.context.close()
    with started_server(tmp_path) as second:
        again = Watched(browser.new_page(), second.address)
        again.open(f"/#run={identifier}")
        again.page.locator("#runs-list .opened").wait_for()

        assert again.markup() == live
        again.page.context.close()
        again.check()


class started_server:
    """`forethought serve` in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "forethought", "serve", "--port", "0"],
            env={**os.environ, VARIABLE: str(folder / "results.sqlite"),
                 "PYTHONPATH": str(ROOT / "src")},
            stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        assert self.process.stderr
        lines = iter(self.process.stderr.readline, "")
        welcome = next(line for line in lines if line.startswith("serving "))
        self.address = welcome.strip().rpartition(" at ")[2]

    def __enter__(self) -> started_server:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate(timeout=30)

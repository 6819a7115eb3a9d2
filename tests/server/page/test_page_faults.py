"""The page when requests fail, are stopped, or carry markup."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.server.page.chromium import Opened, Watched, choose  # skips without playwright

# isort: split
from playwright.sync_api import expect

from forethought.contracts.records import Event
from tests.server.page import recordings
from tests.server.page.replaying_server import Recorded

pytestmark = pytest.mark.slow

EVIL = "</script><img src=x onerror=\"alert('x')\"><svg onload=alert(1)>'\"&`${1}\u202e\x07"


def test_stop_ends_the_request(opened: Opened, recorded: Recorded) -> None:
    recorded.pause = 0.3
    watched = opened()
    watched.page.fill("#question", "Why?")
    watched.page.click("#ask")
    watched.page.locator("#answer .tokens .t").first.wait_for()
    watched.page.get_by_role("button", name="Stop").click()

    expect(watched.page.locator("#status")).to_have_text("Stopped.")
    expect(watched.page.locator("#ask")).to_have_text("Ask")
    assert recorded.left == 1


def test_errors_are_shown_with_their_hint(opened: Opened) -> None:
    watched = opened()
    watched.allowed = ("status of 400", "status of 401")
    error = {"error": {"message": "no method is called 'snap-kv'", "hint": "did you mean snapkv?"}}
    watched.page.route(
        "**/v1/chat/completions", lambda route: route.fulfill(status=400, json=error)
    )
    watched.page.fill("#question", "Why?")
    watched.page.click("#ask")
    shown = watched.page.locator("#answer .error")
    expect(shown).to_contain_text("error: no method is called 'snap-kv'")
    expect(shown).to_contain_text("hint: did you mean snapkv?")

    watched.page.unroute("**/v1/chat/completions")
    watched.page.route(
        "**/v1/chat/completions",
        lambda route: (
            route.fallback() if route.request.headers.get("authorization") == "Bearer sesame"
            else route.fulfill(status=401, json={"error": {"message": "a key is needed"}})
        ),
    )  # fmt: skip
    watched.page.click("#ask")
    watched.page.fill("#key", "sesame")
    watched.page.get_by_role("button", name="Use it").click()
    watched.page.locator("#status", has_text="Ready").wait_for()
    watched.ask("Why?")
    assert watched.page.locator("#answer .error").text_content() == ""


def test_a_stream_that_breaks_off_is_an_error(opened: Opened, recorded: Recorded) -> None:
    recorded.extra["cut"] = recordings.events("exact")[:9]
    watched = opened()
    watched.page.fill("#question", "cut")
    watched.page.click("#ask")

    expect(watched.page.locator("#answer .error")).to_contain_text("before the run was done")
    expect(watched.page.locator("#ask")).to_have_text("Ask")


def evil_events() -> tuple[Event, ...]:
    """A run whose every text is markup."""
    token = {"text": EVIL, "token": 1, "log_probability": -1.0, "candidate": 0}
    top = [{"token": 2, "text": EVIL, "log_probability": -2.0}]
    done = recordings.events("particle-filter")[-1].data["run"]
    candidates = [
        {**one, "text": EVIL, "steps": [{"text": EVIL, "score": 0.5}]} for one in done["candidates"]
    ]
    run = {**done, "answer": EVIL, "notes": [EVIL], "candidates": candidates, "finish": EVIL}
    kept = {**run["kept"], "positions": [0, 2], "of": 4, "prompt_tokens": 2}
    return (
        Event("note", {"text": EVIL}),
        Event("stage", {"name": EVIL, "seconds": 0.1}),
        Event("token", {**token, "top": top}),
        Event("candidate", {"path": [0], "text": EVIL, "tokens": 1, "finish": EVIL}),
        Event("done", {"run": {**run, "kept": kept}}),
    )


def test_markup_in_texts_stays_text(
    opened: Opened, recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded.extra[EVIL] = evil_events()
    recorded.tokens = [EVIL] * 4
    recorded.models.append(EVIL)
    watched = opened()
    page = watched.page
    before = page.locator("img, script, iframe, object, a").count()
    choose(watched, "specpc", "particle-filter")
    page.fill("#document", EVIL)
    page.locator("summary", has_text="Sampling").click()
    page.fill("#system", EVIL)
    watched.ask(EVIL)
    for tab in ("cost", "pareto", "live", "tree"):
        page.click(f"#tab-{tab}")
    page.hover("#answer .tokens .t >> nth=0")
    page.hover("#prompt .cell >> nth=1")
    page.hover("#tree .node >> nth=0")
    page.reload()
    page.locator("#runs-list .opened").wait_for()
    with page.expect_download() as download:
        page.click("#runs-list .opened button:has-text('export')")
    download.value.save_as(tmp_path / "evil.html")

    assert page.locator("img, script, iframe, object, a").count() == before
    assert page.locator("#answer .tokens .t").first.text_content() == EVIL
    assert EVIL in page.locator("#model option").all_text_contents()
    alone = Watched(page.context.new_page(), "file://")
    alone.page.goto((tmp_path / "evil.html").as_uri())
    alone.page.locator("#answer .tokens .t").first.wait_for()
    assert alone.page.locator("#answer .tokens .t").first.text_content() == EVIL
    assert alone.page.locator("img, iframe, object, a").count() == 0
    alone.check()

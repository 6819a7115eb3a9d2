"""The page by keyboard, on a phone, in light and dark."""

from __future__ import annotations

import pytest

from tests.server.page.chromium import Opened, choose, probe  # skips without playwright

# isort: split
from playwright.sync_api import expect

pytestmark = pytest.mark.slow


def test_the_theme_follows_the_system_until_it_is_switched(opened: Opened) -> None:
    paper = "() => getComputedStyle(document.body).backgroundColor"
    light, dark = opened(color_scheme="light").page, opened(color_scheme="dark").page
    colours = light.evaluate(paper), dark.evaluate(paper)

    assert colours[0] != colours[1]
    dark.click("#theme")
    assert dark.evaluate(paper) == colours[0]
    dark.reload()
    assert dark.evaluate(paper) == colours[0]
    dark.click("#theme")
    assert dark.evaluate(paper) == colours[1]
    assert opened("/?theme=dark", color_scheme="light").page.evaluate(paper) == colours[1]


def test_everything_is_reached_by_keyboard(opened: Opened) -> None:
    watched = opened()
    keyboard = watched.page.keyboard

    def tab_to(selector: str, back: bool = False) -> None:
        for _ in range(60):
            keyboard.press("Shift+Tab" if back else "Tab")
            if watched.page.locator(f"{selector}:focus").count():
                return
        raise AssertionError(f"Tab does not reach {selector}")

    tab_to("#add-method select")
    keyboard.type("specpc")
    keyboard.press("Enter")
    expect(watched.page.locator("#methods .chip")).to_have_count(1)
    tab_to("#methods input[type=text]")
    keyboard.press("Control+a")
    keyboard.type("256")
    tab_to("#question")
    keyboard.type("How tall is the lighthouse?")
    keyboard.press("Control+Enter")
    watched.wait_until_done()
    assert "specpc(keep=256)" in (watched.page.locator("#cli").text_content() or "")
    tab_to("#answer .tokens")
    for _ in range(4):
        keyboard.press("ArrowRight")
    tip = watched.page.locator("#tip.shown")
    expect(tip).to_contain_text("log-probability")
    keyboard.press("Escape")
    expect(tip).to_have_count(0)
    tab_to("#prompt .strip")
    keyboard.press("End")
    expect(tip).to_contain_text("token 1,448: kept")
    tab_to("#tab-tree")
    keyboard.press("ArrowRight")
    expect(watched.page.locator("#cost")).to_be_visible()
    keyboard.press("ArrowRight")
    tab_to("#pareto .point")
    keyboard.press("Enter")
    assert "specpc" not in (watched.page.locator("#cli").text_content() or "")
    tab_to("#runs-list .link")
    keyboard.press("Enter")
    expect(watched.page.locator("#status")).to_have_text("A stored run.")
    tab_to("#theme", back=True)


def test_a_phone_shows_everything_in_its_width(opened: Opened) -> None:
    watched = opened(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    choose(watched, "specpc")
    watched.page.fill("#question", "How tall is the lighthouse?")
    watched.page.tap("#ask")
    watched.wait_until_done()
    for tab in ("cost", "pareto", "live", "tree"):
        watched.page.tap(f"#tab-{tab}")
        wide = watched.page.evaluate("() => document.documentElement.scrollWidth")
        assert wide <= 390
    boxes = watched.page.locator("main .card:visible, .runs").evaluate_all(
        "cards => cards.map((card) => card.getBoundingClientRect().width)"
    )
    assert min(boxes) > 340
    watched.page.tap("#answer .tokens .t >> nth=4")
    expect(watched.page.locator("#tip.shown")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_controls_have_names_and_text_has_contrast(opened: Opened, scheme: str) -> None:
    watched = opened(color_scheme=scheme)
    choose(watched, "specpc", "beam")
    watched.page.locator("#search summary").click()
    watched.page.locator("summary", has_text="Sampling").click()
    watched.page.locator("#search .cross").click()
    watched.ask("How tall is the lighthouse?")
    for tab in ("cost", "pareto", "live", "tree"):
        watched.page.click(f"#tab-{tab}")
        watched.page.wait_for_timeout(200)

        assert watched.page.evaluate(probe("nameless.js")) == []
        assert watched.page.evaluate(probe("faint.js")) == []
    choose(watched, search="beam")
    watched.ask("How many sheep are left?")
    assert watched.page.evaluate(probe("nameless.js")) == []
    assert watched.page.evaluate(probe("faint.js")) == []

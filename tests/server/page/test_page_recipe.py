"""The recipe of the page: chips, controls, the command line and stored recipes."""

from __future__ import annotations

import shlex

import pytest

from tests.server.page.chromium import Opened, choose  # skips without playwright

# isort: split
from playwright.sync_api import expect

from forethought.cli.grammar import parse
from forethought.cli.recipes import described
from forethought.cli.verbs import table
from forethought.recipes.recipe import Recipe
from tests.server.page.replaying_server import Recorded

pytestmark = pytest.mark.slow


def recipe_of(command: str) -> Recipe:
    given = parse(table("ask"), shlex.split(command)[2:])
    assert given
    return described(given)


def test_the_command_line_and_the_request_name_the_same_recipe(
    opened: Opened, recorded: Recorded
) -> None:
    watched = opened()
    page = watched.page
    choose(watched, "specpc", "particle-filter")
    choose(watched, "quantised-kv")
    page.locator("#methods .chip >> nth=0").get_by_label("keep", exact=True).fill("0.25")
    page.locator("#search summary").click()
    page.locator("#search").get_by_label("n", exact=True).fill("3")
    page.locator("#search").get_by_label("delimiter").fill("it's a \\n line")
    page.locator("summary", has_text="Sampling").click()
    page.fill("#max_tokens", "33")
    page.fill("#seed", "7")
    page.fill("#budget", "500tok")
    question = 'What\'s "in" $HOME `here`; \\ and\nthere?'
    page.fill("#document", "some text")
    watched.ask(question)

    command = page.locator("#cli").text_content()
    (sent,) = recorded.requests
    assert command
    assert shlex.split(command)[-1] == question
    found = recipe_of(command)
    assert found == Recipe(
        model=sent["model"],
        approximate=tuple(sent["approximate"]),
        search=sent["search"],
        scorer=sent["scorer"],
        max_tokens=sent["max_tokens"],
        budget=sent["budget"],
        seed=sent["seed"],
        temperature=sent["temperature"],
    )
    assert found.approximate[0] == "specpc(keep=0.25)"
    assert "n=3" in found.search
    assert sent["messages"] == [{"role": "user", "content": question}]
    assert sent["document"] == "some text"
    assert sent["stream"]
    assert sent["stream_events"]


def test_a_control_at_its_default_leaves_the_spelling(opened: Opened) -> None:
    watched = opened()
    choose(watched, "specpc")
    keep = watched.page.locator("#methods").get_by_label("keep", exact=True)
    start = keep.input_value()
    keep.fill("77")
    assert "specpc(keep=77)" in (watched.page.locator("#cli").text_content() or "")
    keep.fill("0")  # beyond its limits: the last right value stays
    assert "specpc(keep=77)" in (watched.page.locator("#cli").text_content() or "")
    keep.fill(start)
    assert "-x specpc '" in (watched.page.locator("#cli").text_content() or "")
    watched.page.get_by_label("Remove specpc").click()
    assert "-x" not in (watched.page.locator("#cli").text_content() or "")


def test_a_point_of_the_pareto_chart_loads_its_recipe(opened: Opened) -> None:
    watched = opened()
    watched.page.click("#tab-pareto")
    points = watched.page.locator("#pareto .point")
    expect(points).to_have_count(3)
    points.nth(1).locator(".mark").hover()
    expect(watched.page.locator("#tip")).to_contain_text("smollm2+specpc(keep=256)")
    points.nth(1).locator(".mark").click()

    assert "specpc(keep=256)" in (watched.page.locator("#cli").text_content() or "")
    assert watched.page.locator("#methods .chip").get_attribute("data-name") == "specpc"


def test_live_figures_come_once_a_second_while_they_are_looked_at(opened: Opened) -> None:
    watched = opened()
    asked: list[str] = []
    watched.page.on("request", lambda one: asked.append(one.url))
    watched.page.click("#tab-live")
    expect(watched.page.locator("#live .tile")).to_have_count(6)
    expect(watched.page.locator("#live")).to_contain_text("48.0 MiB of 1.00 GiB")
    expect(watched.page.locator("#live")).to_contain_text("70 %")
    watched.page.wait_for_timeout(2300)
    while_shown = sum(url.endswith("/v1/live") for url in asked)
    watched.page.click("#tab-cost")
    watched.page.wait_for_timeout(2300)

    assert 2 <= while_shown <= 4
    assert sum(url.endswith("/v1/live") for url in asked) <= while_shown + 1


def test_two_runs_are_compared(opened: Opened) -> None:
    watched = opened()
    watched.ask("one")
    first = watched.json(f"/v1/runs/{watched.run_id()}")
    choose(watched, "specpc")
    watched.ask("two")
    second = watched.json(f"/v1/runs/{watched.run_id()}")
    for box in watched.page.locator("#runs-list input[type=checkbox]").all():
        box.check()
    watched.page.click("#compare")
    diff = watched.page.locator("#diff")

    expect(diff).to_contain_text("smollm2+specpc(keep=256)")
    ratio = second["cost"]["flops"] / first["cost"]["flops"]
    expect(diff.locator("tr", has_text="FLOPs")).to_contain_text(f"{ratio:.2f} ×")
    parts = diff.locator(".words").evaluate(
        "node => [...node.childNodes].map((one) => [one.nodeName, one.textContent])"
    )
    assert "".join(text for name, text in parts if name != "INS") == first["answer"]
    assert "".join(text for name, text in parts if name != "DEL") == second["answer"]

"""A run in the page: strip, tokens, tree, replay and export."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.server.page.chromium import Opened, Watched, choose  # skips without playwright

# isort: split
from playwright.sync_api import expect

from tests.server.page import recordings
from tests.server.page.replaying_server import Recorded

pytestmark = pytest.mark.slow

DOCUMENT = "The lighthouse was built in 1887.\n"


def test_the_strip_shows_the_kept_positions_of_the_json(opened: Opened) -> None:
    watched = opened()
    choose(watched, "specpc")
    watched.page.fill("#document", DOCUMENT)
    watched.ask("How tall is the lighthouse?")

    kept = watched.json(f"/v1/runs/{watched.run_id()}")["kept"]
    cells = watched.page.locator("#prompt .strip .cell").evaluate_all(
        "cells => cells.map(({dataset: d}) => [+d.from, +d.to, +d.share])"
    )

    positions = set(kept["positions"])
    assert kept["of"] == 1449
    assert [start for start, _, _ in cells] == [0, *(stop for _, stop, _ in cells[:-1])]
    assert cells[-1][1] == kept["of"]
    for start, stop, share in cells:
        inside = len(positions.intersection(range(start, stop)))
        assert share == pytest.approx(inside / (stop - start))


def test_dropped_text_is_struck_through_and_kept_text_is_not(opened: Opened) -> None:
    watched = opened()
    choose(watched, "specpc")
    watched.ask("How tall is the lighthouse?")

    run = watched.json(f"/v1/runs/{watched.run_id()}")
    positions, tokens = set(run["kept"]["positions"]), run["prompt"]["tokens"]
    struck = watched.page.locator("#prompt .prompt-text del").all_text_contents()
    plain = watched.page.locator("#prompt .prompt-text span").all_text_contents()

    assert "".join(struck) == "".join(t for n, t in enumerate(tokens) if n not in positions)
    assert "".join(plain) == "".join(t for n, t in enumerate(tokens) if n in positions)


def test_shares_of_layers_and_heads_shade_the_cells(opened: Opened) -> None:
    watched = opened()
    choose(watched, "snapkv")
    watched.ask("How tall is the lighthouse?")

    kept = watched.json(f"/v1/runs/{watched.run_id()}")["kept"]
    share = dict(zip(kept["positions"], kept["shares"], strict=True))
    cells = watched.page.locator("#prompt .strip .cell").evaluate_all(
        "cells => cells.map(({dataset: d}) => [+d.from, +d.to, +d.share])"
    )

    for start, stop, shown in cells:
        mean = sum(share.get(n, 0.0) for n in range(start, stop)) / (stop - start)
        assert shown == pytest.approx(mean, abs=1e-4)
    watched.page.hover("#prompt .strip .cell >> nth=300")
    expect(watched.page.locator("#tip")).to_contain_text("of layers and heads")


def test_tokens_stream_with_their_probabilities_and_alternatives(
    opened: Opened, recorded: Recorded
) -> None:
    recorded.pause = 0.05
    watched = opened()
    watched.page.fill("#question", "Why?")
    watched.page.click("#ask")
    tokens = watched.page.locator("#answer .tokens .t")
    seen = set()
    while not watched.page.locator("#status", has_text="Done").count():
        seen.add(tokens.count())
    events = [one.data for one in recordings.events("exact") if one.kind == "token"]

    assert len(seen) > 4
    assert tokens.all_text_contents() == [one["text"] for one in events]
    tokens.nth(5).hover()
    tip = watched.page.locator("#tip")
    expect(tip).to_contain_text(f"{events[5]['log_probability']:.2f}")
    assert tip.locator(".alternatives > div").count() == len(events[5]["top"])


def test_drafted_tokens_are_underlined(opened: Opened, recorded: Recorded) -> None:
    events = recordings.events("exact")
    marked = [
        replace(one, data={**one.data, "from_draft": number % 2 == 0})
        if one.kind == "token" else one for number, one in enumerate(events)
    ]  # fmt: skip
    recorded.extra["drafts"] = tuple(marked)
    watched = opened()
    watched.ask("drafts")

    expected = [one.data["text"] for one in marked if one.data.get("from_draft")]
    assert watched.page.locator("#answer .tokens .drafted").all_text_contents() == expected
    style = "node => getComputedStyle(node).textDecorationLine"
    assert watched.page.locator("#answer .tokens .drafted").first.evaluate(style) == "underline"


def test_the_tree_of_a_particle_filter_grows_and_ends_as_the_json(
    opened: Opened, recorded: Recorded
) -> None:
    recorded.pause = 0.12
    watched = opened()
    choose(watched, search="particle-filter")
    watched.page.fill("#question", "How many sheep are left?")
    watched.page.click("#ask")
    nodes = watched.page.locator("#tree .node")
    sizes = []
    while not watched.page.locator("#status", has_text="Done").count():
        sizes.append(nodes.count())
    watched.wait_until_done()

    assert len(set(sizes)) > 5
    assert sizes == sorted(sizes)
    run = watched.json(f"/v1/runs/{watched.run_id()}")
    paths = {
        tuple(one["path"][:n]) for one in run["candidates"] for n in range(len(one["path"]) + 1)
    }
    assert nodes.count() == len(paths)
    assert watched.page.locator("#tree .node text").count() == len(run["candidates"])
    chosen = next(one for one in run["candidates"] if one["chosen"])
    shown = watched.page.locator("#tree .node.chosen text").text_content()
    assert shown
    assert f"{chosen['weight']:.2f}" in shown
    assert watched.page.locator("#answer .tokens").text_content() == run["answer"]


def test_the_scrubber_shows_an_earlier_step_and_pruned_branches_are_grey(opened: Opened) -> None:
    watched = opened()
    choose(watched, search="beam")
    watched.ask("How many sheep are left?")
    run = watched.json(f"/v1/runs/{watched.run_id()}")
    slider = watched.page.get_by_label("Step of the search")

    whole = watched.page.locator("#tree .node:visible").count()
    pruned = sum(one["pruned"] for one in run["candidates"])
    assert watched.page.locator("#tree .node.gone text").count() == pruned > 0
    slider.fill("6")
    assert watched.page.locator("#tree .node:visible").count() == 7  # the root and six pieces
    watched.page.get_by_label("Play the search").click()
    expect(watched.page.locator("#tree .node:visible")).to_have_count(whole, timeout=20_000)


def test_a_stored_run_replays_as_it_was_live(opened: Opened) -> None:
    for name in ("specpc", "snapkv", "particle-filter", "beam"):
        watched = opened()
        search = name in ("particle-filter", "beam")
        choose(watched, **{"search" if search else "method": name})
        watched.ask(recordings.question(name))
        live, identifier = watched.markup(), watched.run_id()

        watched.page.reload()
        watched.page.locator("#runs-list .opened").wait_for()
        assert watched.run_id() == identifier
        assert watched.markup() == live
        again = opened()
        again.page.locator(f'[data-run="{identifier}"] .link').click()
        again.page.locator("#runs-list .opened").wait_for()
        assert again.markup() == live
        assert again.page.input_value("#question") == recordings.question(name)


def test_an_export_opens_alone_and_shows_the_same(opened: Opened, tmp_path: Path) -> None:
    watched = opened()
    choose(watched, "specpc")
    watched.ask("How tall is the lighthouse?")
    live = watched.markup()
    with watched.page.expect_download() as download:
        watched.page.click("#runs-list .opened button:has-text('export')")
    file = tmp_path / "run.html"
    download.value.save_as(file)

    alone = Watched(watched.page.context.new_page(), "file://")
    alone.page.goto(file.as_uri())
    alone.page.locator("#answer .tokens .t").first.wait_for()

    assert alone.markup() == live
    assert alone.page.locator("#asked").text_content() == "How tall is the lighthouse?"
    alone.page.click("#tab-cost")
    expect(alone.page.locator("#cost")).to_be_visible()
    alone.page.click("#theme")
    alone.page.hover("#answer .tokens .t >> nth=4")
    expect(alone.page.locator("#tip.shown")).to_be_visible()
    alone.check()


def test_decisions_show_belief_price_value_and_reason(opened: Opened, recorded: Recorded) -> None:
    recorded.extra["spend"] = recordings.events("spend")
    watched = opened()
    watched.ask("spend")
    run = watched.json(f"/v1/runs/{watched.run_id()}")
    told = run["decisions"]
    assert told == [one.data for one in recordings.events("spend") if one.kind == "decision"]

    watched.page.click("#tab-decisions")
    cards = watched.page.locator("#decisions .decisions > li")
    assert cards.count() == len(told) > 1
    for number, decision in enumerate(told):
        card = cards.nth(number)
        text = " ".join((card.text_content() or "").split())
        assert f"right: {decision['belief']['right']:.2f}" in text
        assert card.locator("tbody tr").count() == len(decision["alternatives"])
        chosen = card.locator("tbody tr", has_text="▶")
        assert chosen.count() == 1
        cells = chosen.locator("td").all_text_contents()
        assert cells[2] == f"{decision['chosen']['right']:.2f}"
        for rate in decision["belief"]["success"].values():
            assert f"{rate['mean']:.2f} ({rate['low']:.2f} to {rate['high']:.2f})" in text
        best, following = decision["alternatives"][:2]
        assert f"more than {following['action']}" in text
        assert best["net"] >= following["net"]


def test_a_stored_run_opens_at_its_decisions_as_it_was_live(
    opened: Opened, recorded: Recorded
) -> None:
    recorded.extra["spend"] = recordings.events("spend")
    watched = opened()
    watched.ask("spend")
    live = watched.page.locator("#decisions").evaluate("node => node.innerHTML")
    again = opened(f"/#run={watched.run_id()}")
    again.page.locator("#runs-list .opened").wait_for()
    expect(again.page.locator("#decisions")).to_be_visible()
    assert again.page.locator("#decisions").evaluate("node => node.innerHTML") == live
    again.page.locator(f'[data-run="{watched.run_id()}"] .link').click()
    again.page.locator("#runs-list .opened").wait_for()
    shown = again.page.locator("#decisions .decisions > li")
    expect(shown).to_have_count(live.count("<li"))

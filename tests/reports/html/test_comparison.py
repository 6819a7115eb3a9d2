import json
import math
import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser

import pytest

from forethought.contracts.comparison import Comparison
from forethought.reports.comparison_csv import comparison_csv
from forethought.reports.html.comparison import comparison_html
from tests.reports.comparisons import SMALL, large

VOID = {"meta", "br", "wbr", "line", "circle", "path", "rect"}
HOSTILE = "m+a(path='</script><script>alert(1)</script>&\"x\"<img src=http://evil.example/>')"


class Page(HTMLParser):
    """The elements of a page, checked for being closed, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.within: dict[str, list[str]] = {}
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        self.within.setdefault(self.open[-1] if self.open else "", []).append(data)


@cache
def large_page() -> Page:
    return Page(comparison_html(large(), title="All of them"))


def with_first(**changes: object) -> Comparison:
    first, *rest = SMALL.standings
    return replace(SMALL, standings=(replace(first, **changes), *rest))  # type: ignore[arg-type]


def embedded(page: Page) -> dict[str, dict[str, object]]:
    return dict(json.loads(page.within["script"][0]))


def test_all_elements_are_closed_and_no_identifier_comes_twice() -> None:
    found = [attributes["id"] for _, attributes in large_page().elements if "id" in attributes]

    assert len(found) == len(set(found)) > 20


def test_nothing_is_fetched_from_anywhere() -> None:
    html = comparison_html(SMALL, title="Small")

    assert not re.search(r"https?:|//[a-z]|@import|url\(", html)
    assert not any(
        name in attributes
        for _, attributes in Page(html).elements
        for name in ("src", "href", "srcset", "data")
    )
    assert "default-src 'none'" in html


def test_names_and_titles_cannot_become_elements() -> None:
    one = replace(SMALL.standings[1], recipe=HOSTILE, tasks={"<i>": SMALL.standings[1].score})
    comparison = replace(
        SMALL,
        standings=(SMALL.standings[0], one),
        differences=(
            replace(SMALL.differences[0], against=HOSTILE),
            replace(SMALL.differences[2], recipe=HOSTILE),
        ),
        tasks=("<i>",),
        provenance={"<u>": HOSTILE},
    )
    page = Page(comparison_html(comparison, title="<b>&\"'"))
    tags = [tag for tag, _ in page.elements]

    assert tags.count("script") == 2
    assert not {"img", "b", "i", "u"} & set(tags)
    assert page.within["h1"] == ["<b>&\"'"]
    assert HOSTILE in page.within["dd"]
    assert HOSTILE in {attributes.get("title") for _, attributes in page.elements}
    assert not set("<>&") & set(page.within["script"][0])
    assert embedded(page)["comparison"]["standings"][1]["recipe"] == HOSTILE  # type: ignore[index]


def test_the_embedded_numbers_are_all_of_them() -> None:
    comparison = large()
    found = embedded(large_page())
    standings = found["comparison"]["standings"]

    assert found["csv"] == comparison_csv(comparison)
    assert [one["score"]["low"] for one in standings] == [  # type: ignore[attr-defined]
        one.score.low for one in comparison.standings
    ]
    assert [set(one["frontier"]) for one in standings] == [  # type: ignore[attr-defined]
        one.frontier for one in comparison.standings
    ]
    assert len(found["comparison"]["differences"]) == len(comparison.differences)  # type: ignore[arg-type]


def test_tables_hold_every_score_difference_and_bound() -> None:
    comparison, text = large(), " ".join(large_page().text)

    for standing in comparison.standings:
        for one in (standing.score, *standing.tasks.values()):
            assert f"{100 * one.value:.1f}" in text
            assert f"{100 * one.low:.1f}\N{EN DASH}{100 * one.high:.1f}" in text
    for pair in comparison.differences:
        low, high = (
            f"{100 * bound:+.1f}".replace("-", "\N{MINUS SIGN}")
            for bound in (pair.interval.low, pair.interval.high)
        )
        assert f"{low} to {high}" in text


def test_every_point_has_a_tooltip_and_can_be_reached_by_keyboard() -> None:
    points = [
        attributes for _, attributes in large_page().elements if attributes.get("class") == "point"
    ]
    tips = {attributes.get("id") for _, attributes in large_page().elements}

    assert len(points) == 16 * 3 * 2  # recipes, axes, widths
    assert all(one["tabindex"] == "0" and one["aria-label"] for one in points)
    assert {f"tip-{one['data-tip']}" for one in points} <= tips


def test_one_axis_and_one_reference_are_shown_before_any_choice() -> None:
    elements = [attributes for _, attributes in large_page().elements]
    axes = [one for one in elements if "data-axis" in one]
    against = [one for one in elements if "data-against" in one]

    assert ["hidden" in one for one in axes] == [False, True, True]
    assert ["hidden" in one for one in against] == [False] + [True] * 15


def test_without_timing_only_scores_and_costs_decide_the_page() -> None:
    slower = replace(
        SMALL,
        standings=tuple(replace(one, first_token=99.0) for one in SMALL.standings),
        provenance={"when": "later"},
    )
    page = comparison_html(SMALL, title="Small", timing=False)

    assert page == comparison_html(slower, title="Small", timing=False)
    assert "first token" not in page
    assert "first_token" not in page


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_a_number_is_null_and_named_below_the_chart(value: float) -> None:
    page = Page(comparison_html(with_first(first_token=value), title="Small"))

    assert embedded(page)["comparison"]["standings"][0]["first_token"] is None  # type: ignore[index]
    assert "Without a place on this axis: exact." in page.text


def test_one_recipe_alone_makes_a_page() -> None:
    alone = replace(SMALL, standings=SMALL.standings[:1], differences=())
    page = Page(comparison_html(alone, title="Alone"))

    assert "No other recipe answered these questions." in page.text


def test_the_page_says_what_it_was_made_with() -> None:
    found = Page(comparison_html(SMALL, title="Small")).within

    assert "processor" in found["dt"]
    assert "A <fast> one" in found["dd"]

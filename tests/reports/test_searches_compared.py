"""Comparisons in which searches stand: names, axes, the finding, budgets and the room left."""

from __future__ import annotations

import csv
import re
from dataclasses import replace

import pytest

from forethought.contracts.comparison import Comparison, Interval
from forethought.reports import answer_range, figures
from forethought.reports.charts.chart import Plane, Point, scatter
from forethought.reports.comparison import (
    comparison_csv,
    comparison_markdown,
    comparison_text,
)
from forethought.reports.document import document, plain
from forethought.reports.equal_cost import rows
from forethought.reports.finding import finding
from forethought.reports.html.comparison import comparison_html
from forethought.reports.names import is_search, method, recipe_names
from tests.reports.comparisons import BEST, SEARCHES, SMALL, VOTE

COUNTED = "majority-vote(n=4)*"


def changed(index: int, low: float, value: float, high: float) -> Comparison:
    """The comparison with another difference."""
    differences = list(SEARCHES.differences)
    differences[index] = replace(differences[index], interval=Interval(value, low, high))
    return replace(SEARCHES, differences=tuple(differences))


def test_searches_are_named_by_what_they_do() -> None:
    found = recipe_names(["smollm2", VOTE, "smollm2+snapkv(keep=8)@best-of-n@likelihood"])

    assert found.shared == ("smollm2",)
    assert found.short == (
        "exact", "majority-vote(n=4)", "snapkv(keep=8)@best-of-n@likelihood",
    )  # fmt: skip


def test_settings_that_all_share_are_said_once_and_others_stay() -> None:
    alike = recipe_names(["smollm2 --max-tokens=9", f"{VOTE} --max-tokens=9"])
    unlike = recipe_names(["smollm2", f"{VOTE} --temperature=0.9"])

    assert alike.shared == ("smollm2", "--max-tokens=9")
    assert alike.short == ("exact", "majority-vote(n=4)")
    assert unlike.shared == ("smollm2",)
    assert unlike.short == ("exact", "majority-vote(n=4) --temperature=0.9")


def test_a_search_is_one_of_a_family_whatever_its_number() -> None:
    assert method("majority-vote(n=4)") == method("majority-vote(n=8)") == "majority-vote"
    assert method("best-of-n(n=4)@self-judge") == "best-of-n@self-judge"
    assert [is_search(one) for one in ("smollm2", VOTE, "'a@b'+snapkv")] == [False, True, False]


def test_searches_are_weighed_by_tokens_and_flops_and_methods_as_before() -> None:
    smaller = replace(SEARCHES.standings[1], cache_bytes=1.0)
    shrunk = replace(SEARCHES, standings=(SEARCHES.standings[0], smaller))

    assert [one.name for one in figures.axes(SEARCHES, True)] == ["tokens", "flops"]
    assert [one.name for one in figures.axes(shrunk, True)] == ["tokens", "flops", "cache_bytes"]
    assert [one.name for one in figures.axes(SMALL, True)] == [
        "cache_bytes", "first_token", "flops",
    ]  # fmt: skip


def test_the_finding_is_the_cheapest_that_wins_and_the_best() -> None:
    assert finding(SEARCHES) == (
        f"{COUNTED} scores above exact (+15.0 points, 95 % interval +5.0 to +25.0) with 1.3 × its "
        "tokens, the least of all that do. The best is best-of-n(n=4)@self-judge (+40.0 points, "
        "95 % interval +20.0 to +60.0) with 2.7 ×."
    )


def test_one_that_is_both_is_named_once() -> None:
    assert finding(changed(1, -0.1, 0.1, 0.2)).endswith(
        "2.7 × its tokens, the least of all that do."
    )


def test_where_none_wins_the_closest_is_told() -> None:
    found = replace(changed(0, -0.4, -0.1, 0.2), differences=(
        *changed(0, -0.4, -0.1, 0.2).differences[:1], *changed(1, -0.3, -0.05, 0.1).differences[1:],
    ))  # fmt: skip

    assert finding(found).startswith(
        f"No recipe was seen to score above exact beyond the noise; the best is {COUNTED} "
    )


def test_what_was_only_counted_is_marked_and_explained_everywhere() -> None:
    told = f"{COUNTED}: nothing was asked for it; it is counted from the answers of best-of-n(n=4)"

    for text in (
        " ".join(comparison_text(SEARCHES, width=100, colour=False).split()),
        comparison_markdown(SEARCHES).replace("\\", ""),
        comparison_html(SEARCHES, title="t"),
    ):
        assert told in text
    assert "counted" not in comparison_markdown(SMALL)


def test_budgets_show_scores_with_the_number_of_answers() -> None:
    assert rows(SEARCHES) == [
        ["recipe", "110 tokens", "300 tokens"],
        ["exact", "30.0", "30.0"],
        ["best-of-n(n=4)@self-judge", figures.MISSING, "70.0 (4)"],
        [COUNTED, "25.0 (1)", "45.0 (4)"],
    ]
    assert rows(SMALL) == []


@pytest.mark.parametrize("width", [60, 100])
def test_budgets_stand_in_the_text_within_its_width(width: int) -> None:
    text = comparison_text(SEARCHES, width=width, colour=False)

    assert "At equal tokens" in text
    assert all(len(line) <= width for line in text.split("At equal tokens")[1].splitlines())
    assert "70.0 (4)" in text
    assert "At equal tokens" not in comparison_text(SMALL, width=100, colour=False)


def test_budgets_stand_in_markdown_and_on_the_page() -> None:
    assert f"| `{COUNTED}` | 25.0 (1) | 45.0 (4) |" in comparison_markdown(SEARCHES)
    page = comparison_html(SEARCHES, title="t")
    assert '<section id="equal">' in page
    assert "<td>45.0 (4)</td>" in page
    assert '<section id="equal">' not in comparison_html(SMALL, title="t")


def test_the_answers_table_has_the_bounds_of_every_choice_and_what_an_early_stop_saves() -> None:
    assert answer_range.rows(SEARCHES) == [
        ["recipe", "worst", "random", "chosen", "best", "answers", "saved", "spread", "right",
         "wrong"],
        ["best-of-n(n=4)@self-judge", "5.0", "25.0", "70.0", "85.0", "4.0",
         figures.MISSING, "12", "30", "41"],
        [COUNTED, "5.0", "25.0", "45.0", "85.0", "3.0 of 4", "25%", "12", "30", figures.MISSING],
    ]  # fmt: skip
    assert answer_range.rows(SMALL) == []


@pytest.mark.parametrize("width", [60, 100])
def test_the_answers_table_stands_in_the_text_within_its_width(width: int) -> None:
    text = comparison_text(SEARCHES, width=width, colour=False)
    shown = text.split("What the answers allow")[1].split("At equal tokens")[0]

    assert all(len(line) <= width for line in shown.splitlines())
    assert "3.0 of 4" in shown
    assert "an upper bound for any scorer" in " ".join(shown.split())
    assert "What the answers allow" not in comparison_text(SMALL, width=100, colour=False)


def test_the_answers_table_stands_in_markdown_and_on_the_page() -> None:
    line = f"| 5.0 | 25.0 | 45.0 | 85.0 | 3.0 of 4 | 25% | 12 | 30 | {figures.MISSING} |"
    assert f"| `{COUNTED}` {line}" in comparison_markdown(SEARCHES)
    page = comparison_html(SEARCHES, title="t")
    assert '<section id="answers">' in page
    assert "<td>3.0 of 4</td>" in page
    assert "<dt>the worst choice</dt><dd>5.0</dd>" in page
    assert '<section id="answers">' not in comparison_html(SMALL, title="t")


def test_csv_has_the_answers_of_searches_and_no_such_columns_without() -> None:
    rows = list(csv.DictReader(comparison_csv(SEARCHES).splitlines()))
    (vote,) = [row for row in rows if row["recipe"] == VOTE and not row["task"]]
    names = (
        "worst", "random", "oracle", "answers", "answers_without_stop", "saved", "token_spread",
        "right_tokens", "wrong_tokens",
    )  # fmt: skip

    assert [vote[name] for name in names] == [
        "0.05", "0.25", "0.85", "3.0", "4.0", "0.25", "12.0", "30.0", "",
    ]  # fmt: skip
    assert not any(row[name] for row in rows for name in names if row["recipe"] == "smollm2")
    assert not set(names) & set(comparison_csv(SMALL).splitlines()[0].split(","))


def test_csv_has_a_column_for_tokens() -> None:
    lines = comparison_csv(SEARCHES).splitlines()

    assert lines[0].endswith("tokens,flops,frontier_tokens,frontier_flops,published,changed")
    assert next(line for line in lines if f"{BEST},," in line).endswith("300.0,9000000000.0,1,0,,")


def test_the_chart_shows_the_room_and_the_way_to_it() -> None:
    one = SEARCHES.standings[1]
    assert one.chances
    point = Point("b", "said", 1, 2, one.tokens, one.score, chances=one.chances,
                  fewer=tuple((less.tokens, less.score) for less in one.fewer))  # fmt: skip
    plane = Plane(1000, 500, "tokens", str)

    drawn = scatter([point], plane)

    room = re.search(r'class="room c2"[^>]* x="([\d.]+)" y="([\d.]+)" width="14" height="([\d.]+)"',
                     drawn)  # fmt: skip
    way = re.search(r'class="way c2"[^>]* d="M([^"]+)"', drawn)
    at = re.search(r'class="at" transform="translate\(([\d.]+) ([\d.]+)\)"', drawn)
    assert room
    assert way
    assert at
    places = [tuple(map(float, place.split())) for place in way[1].split("L")]
    assert places[-1] == (float(at[1]), float(at[2]))
    assert len(places) == 3
    assert [x for x, _ in places] == sorted(x for x, _ in places)
    top, height = float(room[2]), float(room[3])
    assert float(room[1]) + 7 == pytest.approx(float(at[1]), abs=0.2)
    assert top < float(at[2]) < top + height
    # From 25 to 85 points, as the way's first point stands at 25.
    assert top + height == pytest.approx(places[0][1], abs=0.2)
    assert top >= 0


def test_the_page_tells_of_the_room_where_it_is_pointed_at() -> None:
    page = comparison_html(SEARCHES, title="t")

    assert "<dt>a blind choice</dt><dd>25.0</dd><dt>the best choice</dt><dd>85.0</dd>" in page
    assert "a blind choice" not in comparison_html(SMALL, title="t")


def test_the_name_of_the_line_stands_where_its_point_does_not() -> None:
    def side(cost: float) -> str:
        points = [
            Point("exact", "said", 0, 0, cost, Interval(0.5, 0.4, 0.6)),
            Point("other", "said", 1, 1, 10.0, Interval(0.9, 0.8, 1.0)),
        ]
        plane = Plane(1000, 500, "tokens", str, reference=points[0].score, reference_name="exact")
        found = re.search(r'class="aside" x="[\d.]+" y="[\d.]+" text-anchor="(\w+)"',
                          scatter(points, plane))  # fmt: skip
        assert found
        return found[1]

    assert (side(1.0), side(100.0)) == ("end", "start")


def test_documents_hold_only_what_json_knows() -> None:
    value = {"a": float("nan"), "b": frozenset({"y", "x"}), "c": (1, [float("inf")]), 3: "<"}

    assert plain(value) == {"a": None, "b": ["x", "y"], "c": [1, [None]], "3": "<"}
    assert plain(value, ["a", "x"]) == {"b": ["y"], "c": [1, [None]], "3": "<"}
    assert document({"a": float("nan")}) == '{\n  "a": null\n}'

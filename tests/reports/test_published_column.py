"""The column `published` in every form of a comparison."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace

import pytest

from forethought.contracts.comparison import Comparison
from forethought.contracts.published import Published
from forethought.contracts.sources import LEGEND
from forethought.reports.comparison import comparison_csv, comparison_markdown, comparison_text
from forethought.reports.figures import DASH
from forethought.reports.html.comparison import comparison_html
from forethought.reports.published import mark
from tests.reports.comparisons import SMALL, large

STANDINGS = (
    Published("none"),
    Published("code", ("protect",)),
    Published("ours", ("protect",)),
)


def stated(comparison: Comparison, found: Sequence[Published]) -> Comparison:
    pairs = zip(comparison.standings, found, strict=True)
    return replace(
        comparison, standings=tuple(replace(one, published=standing) for one, standing in pairs)
    )


@pytest.mark.parametrize(
    ("standing", "shown"),
    [
        (Published("paper"), "paper"),
        (Published("code", ("protect",)), "code†"),
        (Published("paper", ("kernel", "protect")), "changed"),
        (Published("ours", ("kernel",)), "ours"),
        (Published("baseline", ("protect",)), "baseline"),
        (Published("none"), DASH),
        (Published(), "?"),
    ],
)
def test_a_cell_says_how_far_a_recipe_is_as_published(standing: Published, shown: str) -> None:
    assert mark(standing) == shown


def test_the_terminals_table_has_the_column_and_its_legend() -> None:
    text = comparison_text(stated(SMALL, STANDINGS), width=160, colour=False)

    assert "published" in text.splitlines()[2]
    assert [line.split()[1] for line in text.splitlines()[3:6]] == [DASH, "code†", "ours"]
    assert " ".join(LEGEND.split()) in " ".join(text.split())


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_narrow_terminal_is_not_exceeded(width: int) -> None:
    comparison = large()
    found = [Published("code", ("protect",))] * len(comparison.standings)

    text = comparison_text(stated(comparison, found), width=width, colour=False)

    assert max(map(len, text.splitlines())) <= width
    assert text.count("code†") == len(found)


def test_markdown_and_html_have_the_column_and_its_legend() -> None:
    comparison = stated(SMALL, STANDINGS)

    rows = [line.split(" | ") for line in comparison_markdown(comparison).splitlines()]
    cells = [row[1] for row in rows if len(row) > 4]
    page = comparison_html(comparison, title="t")

    assert cells[:1] + cells[2:5] == ["published", DASH, "code†", "ours"]
    assert LEGEND in comparison_markdown(comparison)
    assert "<td>code†</td>" in page
    assert LEGEND.replace("'", "&#x27;") in page


def test_csv_names_the_source_and_the_changed_settings() -> None:
    text = comparison_csv(stated(SMALL, STANDINGS))
    totals = [row for row in csv.DictReader(io.StringIO(text, newline="")) if not row["task"]]

    assert [(row["published"], row["changed"]) for row in totals] == [
        ("none", ""),
        ("code", "protect"),
        ("ours", "protect"),
    ]


def test_without_any_statement_there_is_no_column() -> None:
    assert "published" not in comparison_text(SMALL, width=160, colour=False)
    assert "published" not in comparison_markdown(SMALL)

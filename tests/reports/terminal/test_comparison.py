import re
from dataclasses import replace
from pathlib import Path

import pytest

from forethought.contracts.comparison import Comparison, Interval, Refusal
from forethought.reports import figures, names
from forethought.reports.comparison import comparison_markdown, comparison_text
from tests.reports.comparisons import SMALL, large

SHOWN = Path(__file__).parent / "shown"


def renamed(*recipes: str) -> Comparison:
    """SMALL with other recipes, of which nothing else changes."""
    new_names = {one.recipe: new for one, new in zip(SMALL.standings, recipes, strict=True)}
    return replace(
        SMALL,
        standings=tuple(replace(one, recipe=new_names[one.recipe]) for one in SMALL.standings),
        differences=tuple(
            replace(one, recipe=new_names[one.recipe], against=new_names[one.against])
            for one in SMALL.differences
        ),
    )


@pytest.mark.parametrize("width", [45, 80, 120])
def test_recipes_stand_beside_the_first_with_intervals_and_costs(width: int) -> None:
    shown = comparison_text(SMALL, width=width, colour=False)

    assert shown + "\n" == (SHOWN / f"small_{width}.txt").read_text("utf-8")


def test_nothing_measured_by_a_clock_is_shown_without_timing() -> None:
    shown = comparison_text(SMALL, width=80, colour=False, timing=False)
    slower = replace(
        SMALL, standings=tuple(replace(one, first_token=99.0) for one in SMALL.standings)
    )

    assert shown + "\n" == (SHOWN / "small_untimed.txt").read_text("utf-8")
    assert comparison_text(slower, width=80, colour=False, timing=False) == shown


@pytest.mark.parametrize("width", [50, 60, 80, 100, 130])
def test_no_line_is_wider_than_asked(width: int) -> None:
    lines = comparison_text(large(), width=width, colour=False).splitlines()

    assert max(map(len, lines)) <= width


def test_every_recipe_and_every_task_score_is_shown_at_80_columns() -> None:
    comparison = large()
    shown = comparison_text(comparison, width=80, colour=False)

    for name, standing in (
        ("h2o 512", comparison.standings[8]),
        ("exact", comparison.standings[0]),
    ):
        total, *blocks = (line for line in shown.splitlines() if line.startswith(name + " "))
        assert total.split(name)[1].split()[0] == f"{100 * standing.score.value:.1f}"
        scores = [score for block in blocks for score in block.split(name)[1].split()]
        assert scores == [f"{100 * standing.tasks[task].value:.1f}" for task in comparison.tasks]
    assert "h2o 512 is short for" not in shown
    assert "snapkv 256 is short for snapkv(keep=256)" in shown


def test_colour_changes_nothing_but_the_look() -> None:
    shown = comparison_text(SMALL, width=80, colour=True)

    assert "\x1b[1m" in shown
    for code in ("\x1b[1m", "\x1b[2m", "\x1b[0m"):
        shown = shown.replace(code, "")
    assert shown == comparison_text(SMALL, width=80, colour=False)


def test_long_recipes_are_shortened_to_names_that_differ_and_are_explained() -> None:
    long = [f"m+expected-attention(keep=512, {knob}=true)" for knob in ("sinks", "rings")]
    shown = comparison_text(renamed("m", *long), width=80, colour=False)

    assert max(map(len, shown.splitlines())) <= 80
    for recipe in long:
        assert f"is short for {recipe.removeprefix('m+')}" in " ".join(shown.split())
    rows = [line.split("  ")[0] for line in shown.splitlines() if line.startswith("expected")]
    assert len(set(rows[:2])) == 2


def test_the_finding_is_the_cheapest_recipe_that_may_be_as_good() -> None:
    shown = comparison_markdown(SMALL)

    assert shown.startswith("snapkv(keep=512) cannot be told from exact")
    assert "with 0.25 × its cache bytes" in shown
    assert "a loss of up to 7.5 points is not ruled out" in shown


def test_the_finding_says_where_everything_cheaper_is_worse() -> None:
    worse = tuple(
        replace(one, interval=Interval(-0.1, -0.15, -0.05))
        for one in SMALL.differences
        if one.against == "smollm2"
    )
    shown = comparison_markdown(replace(SMALL, differences=worse))

    assert shown.startswith("Every recipe cheaper than exact scores below it beyond the noise")


def test_a_poor_recipe_with_a_wide_interval_is_no_finding() -> None:
    wide = tuple(replace(one, interval=Interval(-0.3, -0.7, 0.1)) for one in SMALL.differences)

    shown = comparison_markdown(replace(SMALL, differences=wide))

    assert shown.startswith("No recipe cheaper than exact was seen to come within 5 points of it")


def test_of_several_recipes_that_may_be_as_good_the_cheapest_is_found() -> None:
    equal = tuple(replace(one, interval=Interval(0.0, -0.05, 0.05)) for one in SMALL.differences)
    snapkv, specpc = (
        replace(one, cache_bytes=size)
        for one, size in ((SMALL.standings[1], 3e6), (SMALL.standings[2], 1e6))
    )
    found = replace(SMALL, standings=(SMALL.standings[0], snapkv, specpc), differences=equal)

    assert comparison_markdown(found).startswith("specpc(keep=512) cannot be told from exact")


@pytest.mark.parametrize(
    ("low", "high", "mark"), [(0.01, 0.1, "▲"), (-0.02, 0.1, ""), (-0.1, -0.01, "▼"), (0, 0.1, "")]
)
def test_a_mark_means_that_the_interval_excludes_zero(low: float, high: float, mark: str) -> None:
    assert figures.mark(Interval((low + high) / 2, low, high)) == mark


def test_a_draft_is_left_out_only_where_every_method_has_it() -> None:
    both = names.recipe_names(["m", "m+draft(d)+a", "m+draft(d)+b(keep=2)"])
    one = names.recipe_names(["m", "m+draft(d)+a", "m+b(keep=2)"])

    assert both == names.Names(("exact", "a", "b(keep=2)"), ("m", "draft(d)"))
    assert one == names.Names(("exact", "draft(d)+a", "b(keep=2)"), ("m",))


def test_recipes_of_several_models_keep_their_whole_spelling() -> None:
    assert names.recipe_names(["m", "n+a"]) == names.Names(("m", "n+a"))


def test_a_recipe_alone_is_compared_with_nothing() -> None:
    alone = replace(SMALL, standings=SMALL.standings[:1], differences=())

    assert comparison_markdown(alone).startswith("exact scores 90.0 (80.0")
    assert "change" not in comparison_text(alone, width=80, colour=False)


def test_markdown_has_a_table_of_recipes_and_one_of_tasks() -> None:
    assert comparison_markdown(SMALL) == (SHOWN / "small.md").read_text("utf-8")


def test_no_name_breaks_a_markdown_table() -> None:
    shown = comparison_markdown(renamed("m", "m+a(path='x|y`z')", "m+b(path='<b>')"))
    rows = [line for line in shown.splitlines() if line.startswith("|")]

    assert "`` a(path='x\\|y`z') ``" in shown
    assert {row.replace("\\|", "").count("|") for row in rows} == {7, 4}


HOSTILE = "<img src=x onerror=alert(1)> [a](javascript:b) \x1b]0;t\x07 | ``` \n# heading"


def test_no_text_of_others_is_html_or_a_heading_in_markdown() -> None:
    named = renamed("m", f"m+a(path={HOSTILE!r})", "m+b")
    refused = Refusal("m+c", HOSTILE, HOSTILE, HOSTILE, HOSTILE)

    shown = comparison_markdown(replace(named, notes=(HOSTILE,), refusals=(refused,)))

    uncoded = re.sub(r"(?<![\\`])(`+)(?!`).*?(?<!`)\1(?!`)", "", shown)
    prose = re.sub(r"\\.", "", uncoded)
    assert "onerror" in prose
    assert not set("<>[]`") & set(prose)
    assert not any(line.startswith("#") for line in shown.splitlines())
    assert "\x1b" not in shown
    rows = [line for line in shown.splitlines() if line.startswith("|")]
    assert {row.replace("\\|", "").count("|") for row in rows} == {7, 4}


def test_a_terminal_obeys_no_name_in_a_comparison() -> None:
    named = renamed("m", "m+a(path='\x1b[31m\x9b')", "m+b")

    shown = comparison_text(replace(named, notes=("\x1b[2J",)), width=100, colour=True)

    assert set(re.findall("[\x1b\x9b][^m]*m?", shown)) == {"\x1b[1m", "\x1b[2m", "\x1b[0m"}
    assert "\\x1b[31m\\x9b" in shown

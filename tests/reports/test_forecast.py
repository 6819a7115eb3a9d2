"""A forecast as text, Markdown, CSV and a page."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from forethought.contracts.comparison import Interval
from forethought.contracts.forecast import Curve, Forecast
from forethought.reports.charts.curve_chart import curve_chart
from forethought.reports.forecast_tables import (
    caveats,
    curve_table,
    difficulty_table,
    economics_table,
    finding,
)
from forethought.reports.html.forecast import forecast_html
from forethought.reports.terminal.forecast import forecast_csv, forecast_markdown, forecast_text
from tests.reports.forecasts import CURVE, DIFFICULTY, ECONOMICS, FORECAST


def notes(curve: Curve) -> str:
    return " ".join(curve_table(curve).notes)


def test_the_finding_tells_the_best_way_to_choose_and_the_room_that_is_left() -> None:
    assert finding(FORECAST) == (
        "Of 4 answers by smollm2@best-of-n(n=4)@self-judge, a vote scores 60.0 points where one "
        "alone scores 30.0; the best of them, were it known, 70.0 (65.0\N{EN DASH}75.0)."
    )


def test_a_table_holds_what_was_drawn_and_then_what_is_foreseen() -> None:
    shown = curve_table(CURVE)

    assert shown.heading == (
        "answers", "random", "vote", "interval", "likeliest", "by self-judge", "best",
        "interval", "tokens", "FLOPs",
    )  # fmt: skip
    assert [row[0] for row in shown.rows] == ["1", "2", "4", "8…", "prior-driven 40…"]
    assert shown.rows[2][1:3] == ("30.0", "60.0")
    assert shown.rows[2][4:7] == ("40.0", "50.0", "70.0")
    assert shown.rows[3] == (
        "8…", "", "65.0", "60.0\N{EN DASH}70.0", "", "", "80.0", "75.0\N{EN DASH}85.0", "180",
        "8.00 GFLOP",
    )  # fmt: skip


def test_ways_to_choose_that_are_not_known_have_no_column() -> None:
    plain = replace(
        CURVE, reached=tuple(replace(row, likely=None, scored=None) for row in CURVE.reached)
    )

    assert curve_table(plain).heading[4:6] == ("best", "interval")
    assert "Scoring adds" not in notes(plain)


def test_what_scoring_adds_and_how_far_the_law_is_off_is_said() -> None:
    said = notes(CURVE)

    assert "Scoring adds 50 tokens and 5.00 GFLOP for each answer." in said
    assert "is exp(\N{MINUS SIGN}1.2 k^\N{MINUS SIGN}0.5)" in said
    assert "off by 1.2 points at most" in said
    assert "It gives 80.0 at 8, 90.0 at 40." in said
    assert "the prior decides" in said
    assert "simulated data sets" not in said
    assert "Only 1.0 % of simulated data sets" in notes(replace(CURVE, surprise=0.01))
    assert "few questions" not in said
    assert "few questions" in notes(replace(CURVE, questions=29))


def test_why_there_is_no_law_is_said() -> None:
    said = notes(replace(CURVE, law=None, no_law="no answer was right, which shows no law"))

    assert "There is no power law: no answer was right, which shows no law." in said


def test_a_cheaper_recipe_with_several_answers_stands_beside_a_dearer_one() -> None:
    shown = economics_table(ECONOMICS)

    assert shown.rows[1] == (
        "8", "8.00 GFLOP", "0.80×", "50.0", "45.0\N{EN DASH}55.0", "20 %", "80.0",
        "75.0\N{EN DASH}85.0", "97 %",
    )  # fmt: skip
    assert shown.rows[2][0] == "prior-driven 32"
    assert "scores 60.0 (55.0\N{EN DASH}65.0) and takes 10.0 GFLOP" in shown.notes[0]
    assert shown.notes[1:] == (
        "With a vote, no number of answers here is more likely above than below.",
        "With the best, 8 answers are more likely above than below, at 8.00 GFLOP.",
    )
    assert economics_table(replace(ECONOMICS, flops=0.0)).rows[1][2] == "\N{EN DASH}"


@pytest.mark.parametrize(
    ("best", "told"),
    [(None, "any number of attempts pays"), (0, "no attempt pays"),
     (1, "1 attempt is worth most"), (3, "3 attempts at most are worth most")],
)  # fmt: skip
def test_how_many_attempts_pay_is_said(best: int | None, told: str) -> None:
    assert CURVE.attempts
    said = notes(replace(CURVE, attempts=replace(CURVE.attempts, best=best)))

    assert told in said
    assert "passes 5.0 % of wrong answers, each of which costs 2" in said


def test_the_verifier_the_price_and_the_intervals_of_attempts_are_said() -> None:
    assert CURVE.attempts
    plain = notes(CURVE)
    assert "of right ones" not in plain
    assert "an attempt" not in plain
    assert "Over questions" not in plain

    more = replace(
        CURVE.attempts,
        completeness=0.8,
        price=0.02,
        fewest=2,
        most=None,
        reward_interval=Interval(0.412, 0.3, 0.5),
        success=(0.8, 1.2),
    )
    said = notes(replace(CURVE, attempts=more))
    assert "and 80.0 % of right ones, at 0.02 an attempt, 3 attempts at most" in said
    assert (
        "Over questions, the best number lies between 2 and any number, and its worth between "
        "0.300 and 0.500."
    ) in said
    assert "follow Beta(0.8, 1.2)" in said
    sure = notes(replace(CURVE, attempts=replace(more, fewest=3, most=3)))
    assert "the best number is 3, and" in sure


def test_attempts_without_end_are_told_as_such() -> None:
    assert CURVE.attempts
    endless = replace(CURVE.attempts, best=None, tries=float("inf"))

    assert "attempts without end" in notes(replace(CURVE, attempts=endless))


def test_questions_by_difficulty_and_what_a_choice_for_each_gains() -> None:
    shown = difficulty_table(DIFFICULTY)

    assert shown.rows == (
        ("1 easiest", "20", "80.0 %", "smollm2", "90.0"),
        ("2 hardest", "20", "10.0 %", "smollm2@majority-vote", "30.0"),
    )
    assert "58.0 points, +3.0 beside smollm2 for all" in shown.notes[0]


def test_one_recipe_alone_leaves_nothing_to_choose() -> None:
    shown = difficulty_table(replace(DIFFICULTY, recipes=("smollm2",), adapted=None))

    assert {row[3] for row in shown.rows} == {"\N{EN DASH}"}
    assert "nothing to choose" in shown.notes[0]


def test_text_keeps_columns_below_each_other_and_prose_within_the_width() -> None:
    text = forecast_text(FORECAST, width=72, colour=False)
    table = [
        line for line in text.splitlines() if re.match(r" *(answers|(prior-driven )?\d+…?)  ", line)
    ]

    assert len({len(line) for line in table[:6]}) == 1
    assert all(len(line) <= 72 for line in text.splitlines() if line not in table)
    assert "\x1b" not in text
    assert "\x1b[1m" in forecast_text(FORECAST, width=72, colour=True)


def test_markdown_escapes_what_is_a_sign_in_it() -> None:
    text = forecast_markdown(FORECAST)

    assert "a \\<note\\> of what was left out" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {11, 10, 6}


def test_every_way_to_choose_is_a_row_of_the_csv_with_what_it_costs() -> None:
    rows = list(csv.DictReader(io.StringIO(forecast_csv(FORECAST))))

    last = {row["choice"]: row for row in rows if row["answers"] == "4"}
    assert list(last) == ["random", "vote", "likelihood", "self-judge", "oracle"]
    assert (last["vote"]["tokens"], last["self-judge"]["tokens"]) == ("140.0", "340.0")
    assert last["self-judge"]["flops"] == repr(4e9 + 2e10)
    further = [row for row in rows if row["foreseen"] == "1"]
    assert [(row["answers"], row["choice"], row["score"]) for row in further] == [
        ("8", "vote", "0.65"), ("8", "oracle", "0.8"), ("40", "vote", "0.7"),
        ("40", "oracle", "0.9"), ("8", "power law", "0.8"), ("40", "power law", "0.9"),
    ]  # fmt: skip


class Page(HTMLParser):
    """What the tests look at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.identifiers: list[str] = []
        self.tips: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.identifiers += [value for name, value in attrs if name == "id" and value]
        self.tips += [str(found["data-tip"])] if "data-tip" in found else []


def test_every_dot_of_the_page_has_its_tooltip() -> None:
    page = Page(forecast_html(FORECAST, title="t"))

    assert set(page.tips) == {f"0-{k}" for k in (1, 2, 4, 8, 40)}
    assert {f"tip-{tip}" for tip in page.tips} <= set(page.identifiers)
    assert len(page.identifiers) == len(set(page.identifiers))


def test_the_page_holds_all_numbers_and_no_foreign_sign() -> None:
    assert CURVE.attempts
    endless = replace(CURVE, attempts=replace(CURVE.attempts, tries=float("inf")))

    text = forecast_html(replace(FORECAST, curves=(endless,)), title="a <b>")

    data = re.search(r'id="data">(.*?)</script>', text, re.DOTALL)
    assert data
    found = json.loads(data[1])
    assert found["forecast"]["curves"][0]["attempts"]["tries"] is None
    assert found["csv"] == forecast_csv(FORECAST)
    assert "<note>" not in text
    assert "<b>" not in text
    assert "http" not in text.replace("http-equiv", "")


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", path)]


def test_lines_rise_where_scores_do_and_go_on_dashed() -> None:
    drawn = curve_chart(CURVE, 0, 1000, 400)
    paths = re.findall(r'<path class="(curve[^"]*)" d="M([^"]*)"', drawn)
    best = points(next(path for kind, path in paths if kind == "curve c3"))
    further = points(next(path for kind, path in paths if kind == "curve further c3"))

    assert [y for _, y in best] == sorted((y for _, y in best), reverse=True)
    assert further[0] == best[-1]
    assert [x for x, _ in best + further[1:]] == sorted(x for x, _ in best + further[1:])
    # Equal factors are equally far apart.
    assert best[1][0] - best[0][0] == pytest.approx(best[2][0] - best[1][0], abs=0.2)


@pytest.mark.parametrize("width", [350.0, 1050.0])
def test_names_of_lines_stand_apart_and_within_the_picture(width: float) -> None:
    last = CURVE.reached[-1]
    close = replace(last, vote=last.scored or last.vote, likely=last.scored)
    crowded = replace(CURVE, reached=(*CURVE.reached[:-1], close))
    drawn = curve_chart(crowded, 0, width, 400)
    labels = re.findall(r'class="label[^"]*" x="([\d.]+)" y="([\d.]+)" text-anchor="(\w+)">([^<]*)',
                        drawn)  # fmt: skip
    right = sorted(float(y) for _, y, _, text in labels if not text.startswith("best of them"))

    assert len(labels) == 5
    assert all(later - earlier >= 14.9 for earlier, later in pairwise(right))
    for x, _, anchor, text in labels:
        end = float(x) + (6.6 * len(text) if anchor == "start" else 0)
        start = float(x) - (6.6 * len(text) if anchor == "end" else 0)
        assert start >= 0
        assert end <= width + 20


def test_a_curve_of_nothing_right_is_drawn_too() -> None:
    flat = [replace(row, oracle=row.vote, likely=None, scored=None) for row in CURVE.reached]

    assert "NaN" not in curve_chart(replace(CURVE, reached=tuple(flat), further=()), 0, 350, 400)


def test_caveats_hold_what_was_left_out() -> None:
    assert caveats(FORECAST)[-1] == "a <note> of what was left out"
    assert isinstance(FORECAST, Forecast)


HOSTILE = "<img src=x onerror=alert(1)> [a](b) | ``` \x1b[2J\n# heading"


def test_no_text_of_others_is_html_or_a_heading_in_markdown() -> None:
    curve = replace(CURVE, recipe=HOSTILE, task=HOSTILE, scorer=HOSTILE)
    bins = tuple(replace(one, best=HOSTILE) for one in DIFFICULTY.bins)
    difficulty = replace(DIFFICULTY, task=HOSTILE, sorted_by=HOSTILE, bins=bins, fixed=HOSTILE)

    shown = forecast_markdown(
        replace(FORECAST, curves=(curve,), difficulties=(difficulty,), notes=(HOSTILE,))
    )

    prose = re.sub(r"\\.", "", shown)
    assert "onerror" in prose
    assert not set("<>[]`\x1b") & set(prose)
    assert all(line.startswith("### ") for line in prose.splitlines() if "#" in line)
    rows = [line for line in shown.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in rows} == {11, 10, 6}


def test_a_terminal_obeys_no_name_in_a_forecast() -> None:
    curve = replace(CURVE, recipe="\x1b[31m\x9b", scorer="\x1b[2J")

    shown = forecast_text(
        replace(FORECAST, curves=(curve,), notes=("\x1b[2J",)), width=100, colour=True
    )

    assert set(re.findall("[\x1b\x9b][^m]*m?", shown)) == {"\x1b[1m", "\x1b[2m", "\x1b[0m"}
    assert "\\x1b[31m\\x9b" in shown

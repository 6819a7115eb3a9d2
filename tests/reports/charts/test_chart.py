import math
import re
from dataclasses import replace
from itertools import combinations

import pytest

from forethought.contracts.comparison import Interval
from forethought.reports.charts.chart import Plane, Point, interval_row, scales, scatter
from forethought.reports.charts.label_places import Box, Ground, places
from forethought.reports.charts.scale import Scale, linear_scale, log_scale, ticks

PLANE = Plane(360, 258, "bytes", "{:g}".format)
CHEAP = Point("cheap", "cheap: 50", 1, 1, 1e6, Interval(0.5, 0.4, 0.6), frontier=True)
DEAR = Point("dear", "dear: 90", 0, 0, 1e8, Interval(0.9, 0.8, 1.0), frontier=True)
POOR = Point("poor", "poor: 45", 2, 1, 1e7, Interval(0.45, 0.4, 0.5))


def numbers(text: str) -> list[float]:
    return [float(one) for one in re.findall(r"-?\d+(?:\.\d+)?", text)]


def test_a_linear_scale_takes_equal_steps() -> None:
    scale = Scale(0.2, 0.8, start=200, end=0)

    assert [scale.at(value) for value in (0.2, 0.5, 0.8)] == pytest.approx([200, 100, 0])


def test_a_scale_of_factors_takes_equal_factors() -> None:
    scale = Scale(10, 1000, start=0, end=200, log=True)

    assert [scale.at(value) for value in (10, 100, 1000)] == pytest.approx([0, 100, 200])


def test_scales_hold_their_values_with_a_margin() -> None:
    factors = log_scale([1e6, 1e8], 0, 100)
    steps = linear_scale([0.42, 0.97], 0, 100, within=(0, 1))

    assert factors.low < 1e6 < 1e8 < factors.high
    assert (steps.low, steps.high) == pytest.approx((0.4, 1.0))


@pytest.mark.parametrize("value", [0.0, 1.0, 0.37])
def test_a_scale_of_one_value_still_has_room(value: float) -> None:
    scale = linear_scale([value, value], 0, 100)

    assert scale.low < scale.high
    assert math.isfinite(scale.at(value))


def test_marks_are_round_and_within_the_scale() -> None:
    assert ticks(Scale(0.33, 0.97, 0, 1), 6) == pytest.approx([0.4, 0.6, 0.8])
    assert ticks(Scale(3, 70, 0, 1, log=True), 7) == [3, 5, 10, 20, 30, 50]
    assert ticks(Scale(3, 700, 0, 1, log=True), 4) == [10, 100]
    assert ticks(Scale(3, 9, 0, 1, log=True), 7, binary=True) == [3, 4, 5, 6, 7, 8, 9]
    assert ticks(Scale(3 * 2**20, 40 * 2**20, 0, 1, log=True), 4, binary=True) == [
        4 * 2**20,
        8 * 2**20,
        16 * 2**20,
        32 * 2**20,
    ]


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.2), (3, 9), (0.05, 40), (1e9, 1e15)])
@pytest.mark.parametrize("binary", [False, True])
def test_there_are_some_marks_but_not_many(low: float, high: float, binary: bool) -> None:
    found = ticks(Scale(low, high, 0, 1, log=True), 7, binary=binary)

    assert 2 <= len(found) <= 8
    assert all(low <= value <= high * (1 + 1e-12) for value in found)


def test_points_stand_where_their_cost_and_score_are() -> None:
    x, y = scales([CHEAP, DEAR, POOR], PLANE)
    drawn = scatter([CHEAP, DEAR, POOR], PLANE)
    found = [numbers(at) for at in re.findall(r'translate\(([\d. ]+)\)">', drawn)]

    # The plot is 300 wide from 46, two decades with a margin of 10 ** 0.14 at both ends.
    assert x.at(1e6) == pytest.approx(46 + 300 * 0.14 / 2.28)
    # The plot is 200 high from 12, and goes from 40 to 100 points.
    assert y.at(0.9) == pytest.approx(12 + 200 / 6)
    for one, (across, down) in zip((CHEAP, DEAR, POOR), found, strict=True):
        assert (across, down) == pytest.approx((x.at(one.cost), y.at(one.score.value)), abs=0.05)


def test_bars_span_their_intervals() -> None:
    _, y = scales([CHEAP, DEAR], PLANE)
    bars = re.findall(
        r'<line class="bar[^>]*y1="([\d.]+)" [^>]*y2="([\d.]+)"', scatter([CHEAP, DEAR], PLANE)
    )

    assert [numbers(" ".join(bar)) for bar in bars] == [
        pytest.approx([y.at(one.score.low), y.at(one.score.high)], abs=0.05)
        for one in (CHEAP, DEAR)
    ]


def test_the_frontier_goes_level_to_the_next_point_and_then_up() -> None:
    x, y = scales([CHEAP, DEAR, POOR], PLANE)
    (path,) = re.findall(r'class="frontier" d="M([^"]+)"', scatter([POOR, DEAR, CHEAP], PLANE))
    corners = [numbers(corner) for corner in path.split("L")]

    assert corners == [
        pytest.approx(corner, abs=0.05)
        for corner in (
            [x.at(1e6), y.at(0.5)],
            [x.at(1e8), y.at(0.5)],
            [x.at(1e8), y.at(0.9)],
            [346, y.at(0.9)],
        )
    ]


def test_settings_of_one_method_are_joined_from_cheap_to_dear() -> None:
    x, y = scales([CHEAP, DEAR, POOR], PLANE)
    (path,) = re.findall(
        r'class="joined c1"[^>]* d="M([^"]+)"', scatter([POOR, DEAR, CHEAP], PLANE)
    )

    assert numbers(path) == pytest.approx([x.at(1e6), y.at(0.5), x.at(1e7), y.at(0.45)], abs=0.05)


def test_families_differ_in_shape_and_in_colour() -> None:
    shown = [replace(CHEAP, family=family, cost=10.0 ** (family + 1)) for family in range(12)]
    signs = re.findall(r'class="mark (c\d)" d="([^"]+)"', scatter(shown, PLANE))

    assert len(set(signs)) == 12


def test_the_reference_is_a_line_in_a_band() -> None:
    plane = replace(PLANE, reference=Interval(0.9, 0.8, 1.0), reference_name="exact")
    _, y = scales([CHEAP], plane)
    drawn = scatter([CHEAP], plane)
    (band,) = re.findall(r'class="band"[^>]*y="([\d.]+)"[^>]*height="([\d.]+)"', drawn)

    assert "exact 90.0" in drawn
    assert numbers(" ".join(band)) == pytest.approx([y.at(1.0), y.at(0.8) - y.at(1.0)], abs=0.05)


@pytest.mark.parametrize("cost", [0.0, -1.0, math.nan, math.inf])
def test_a_cost_without_a_place_is_left_out(cost: float) -> None:
    drawn = scatter([CHEAP, replace(DEAR, cost=cost)], PLANE)

    assert "cheap" in drawn
    assert "dear" not in drawn
    assert "<svg" not in scatter([replace(DEAR, cost=cost)], PLANE)


def test_names_are_escaped() -> None:
    drawn = scatter([replace(CHEAP, label="<b>&", said='"><script>')], PLANE)

    assert "&lt;b&gt;&amp;" in drawn
    assert "<script" not in drawn


def test_labels_of_a_crowd_cover_neither_each_other_nor_the_points() -> None:
    points = [Box(x - 7, y - 7, x + 7, y + 7) for x in (200, 203, 320) for y in (80, 92, 104, 150)]
    area = Box(0, 0, 600, 300)
    found = places(["snapkv 1024"] * len(points), Ground(area, points, []))

    assert all(place.box.inside(area) for place in found)
    assert not any(a.box.shared(b.box) for a, b in combinations(found, 2))
    assert not any(
        place.box.shared(point)
        for at, place in enumerate(found)
        for other, point in enumerate(points)
        if other != at
    )


def test_a_label_alone_stands_close_to_the_right() -> None:
    point = Box(93, 93, 107, 107)
    (place,) = places(["exact"], Ground(Box(0, 0, 300, 300), [point], []))

    assert (place.anchor, place.x, place.gap) == ("start", 112.0, 12.0)


def test_two_boxes_share_the_area_that_both_cover() -> None:
    assert Box(0, 0, 4, 4).shared(Box(3, 2, 9, 9)) == 2
    assert Box(0, 0, 4, 4).shared(Box(4, 0, 8, 4)) == 0


def test_a_difference_stands_in_its_row_by_share_of_the_width() -> None:
    drawn = interval_row(Interval(-0.1, -0.2, 0.05), Scale(-0.4, 0.1, 0, 100), [-0.4, 0.0], "even")

    assert 'class="bar" x1="40.00%" x2="90.00%"' in drawn
    assert 'cx="60.00%"' in drawn
    assert 'class="zero" x1="80.00%"' in drawn

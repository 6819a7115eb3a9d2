"""The roofline as SVG and as text: points stand where their figures say."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

import pytest

from forethought.cost.hardware import TABLE
from forethought.cost.precision import Precision
from forethought.cost.roofline import Machine
from forethought.recipes.recipe import Recipe
from forethought.reports.charts.roofline import roofline_svg
from forethought.reports.cost import cost_document
from forethought.reports.terminal.cost import cost_text
from forethought.sessions.cost_estimate import estimate
from forethought.sessions.cost_stages import CostRequest
from tests.cost.fixtures import config

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def found() -> dict:
    machine, request = Machine(TABLE["h100"], Precision()), CostRequest(8192, 64)
    recipe = Recipe(model="<model>", approximate=("truncate(keep=1024)",))
    sizes = config("llama-3.1-8b")
    told = estimate(recipe, sizes, None, request, machine)
    return cost_document(recipe.spelling, told, request, machine, None)


def test_distances_between_points_are_ratios_of_their_figures(found) -> None:
    drawn = ET.fromstring(roofline_svg(found))
    points = [one for one in drawn.iter(f"{SVG}circle") if one.get("fill")]
    prefill, decode = ((float(one.get("cx")), float(one.get("cy"))) for one in points)
    roof = re.findall(r"[\d.]+", next(drawn.iter(f"{SVG}path")).get("d"))
    turn = (float(roof[2]), float(roof[3]))
    slope = (float(roof[1]) - turn[1]) / (turn[0] - float(roof[0]))  # of y by x on the log scales

    first, second = found["stages"]
    across = math.log(first["intensity"] / second["intensity"])
    up = math.log(first["flops"] / first["seconds"]) - math.log(second["flops"] / second["seconds"])
    drawn_slope = (decode[1] - prefill[1]) / (prefill[0] - decode[0])
    assert drawn_slope / slope == pytest.approx(up / across, rel=0.02)
    assert decode[0] < turn[0] < prefill[0]
    assert prefill[1] >= turn[1] - 0.1  # nothing stands above the roof


def test_names_are_escaped_and_the_exact_run_is_drawn_as_rings(found) -> None:
    text = roofline_svg(found)

    assert "&lt;model&gt;" in text
    assert text.count('class="exact"') == 2
    ET.fromstring(text)


def test_the_text_fits_its_width_and_marks_both_stages(found) -> None:
    lines = cost_text(found, width=80, colour=False).splitlines()

    assert max(map(len, lines[6:])) <= 80
    chart = [line.split("│")[1] for line in lines if "│" in line]
    assert sum(line.count("1") + line.count("2") for line in chart) == 2
    assert any("no price of this hardware" in line for line in lines)

"""The benchmark of cost against context length: points, growth exponents, resumption."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from forethought.cost.flops import entry_bytes, prefill_flops
from forethought.recipes.recipe import Recipe
from forethought.sessions.session import Session
from tests.cli.tiny_folder import write_tiny_model

ROOT = Path(__file__).parents[2]
TEXT = "\n\n".join(f"Paragraph {n} of a text about rivers and the sea." for n in range(300))


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


def measured(tiny, methods, tokens):
    from cost_point import measure

    return measure({"recipe": f"{tiny}{methods}", "tokens": tokens, "rounds": 1}, TEXT)


def point(recipe, length, cost, **changed):
    costs = {"seconds": cost, "flops": cost, "kv_bytes": cost, "peak_kv_bytes": cost}
    memory = {
        "peak_bytes": cost + 2**30,
        "loaded_bytes": 2**30,
        "stages": {"prefill": cost},
        "notes": [],
    }
    own = {"recipe": recipe, "tokens": length + 128, "prompt": length, "prefilled": length}
    return {**own, **costs, **memory, **changed}


def test_a_point_has_the_costs_of_its_recipe_at_its_length(tiny):
    shape = Session.open(Recipe(model=str(tiny))).target.shape
    exact, evicted = (measured(tiny, methods, 640) for methods in ("", "+snapkv(keep=96)"))

    assert exact["prompt"] == evicted["prompt"] == exact["prefilled"] == 640 - 128
    assert exact["flops"] == pytest.approx(prefill_flops(shape, 512), rel=1e-3)
    one = entry_bytes(shape, exact["kv_bytes"] // (512 * entry_bytes(shape, 1)))
    assert exact["kv_bytes"] == 512 * one
    assert evicted["kv_bytes"] == 96 * one
    assert exact["seconds"] > 0
    assert exact["peak_bytes"] is None or exact["peak_bytes"] >= exact["loaded_bytes"]


def test_the_peak_is_of_the_memory_since_the_start():
    from cost_point import CLEAR, Memory

    if not os.access(CLEAR, os.W_OK):
        pytest.skip("this system does not reset the peak of a process")
    size, before = 64 << 20, b"1" * (256 << 20)
    del before
    memory = Memory("cpu")
    held = b"1" * size
    del held

    assert 0.9 * size < memory.peak() - memory.loaded < 2 * size


def test_a_prompt_that_a_model_cannot_take_is_a_point_with_its_reason(tiny):
    found = measured(tiny, "", 4096 + 256)

    assert list(found) == ["skipped"]
    assert "4,096" in found["skipped"]


def test_prompts_of_other_rounds_differ_and_a_short_text_is_repeated(tiny):
    from cost_point import document

    model = Session.open(Recipe(model=str(tiny))).target
    one, other = (document(model, 600, TEXT, seed) for seed in (0, 1))
    short = document(model, 600, "A word.\n\nAnother word.", 0)

    assert one != other
    assert len(one) == len(other) == len(short) > 300


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_the_exponent_of_a_power_law_is_its_power(power):
    from cost_growth import growth

    found = growth([(length, 3 * length**power) for length in (8000, 500, 2000)])

    assert (found.exponent, found.low, found.high) == pytest.approx((power, power, power))


def test_the_range_of_an_exponent_is_that_of_neighbouring_lengths():
    from cost_growth import growth

    found = growth([(1, 1), (2, 2), (4, 8), (8, 64)])

    assert (found.low, found.high) == pytest.approx((1, 3))
    assert found.exponent == pytest.approx(2.0)
    assert growth([(5, 1), (5, 2)]) is growth([(5, 1)]) is growth([(1, 0), (2, 1)]) is None


def test_tables_hold_points_exponents_and_reasons():
    from cost_growth import cells, exponents

    points = [
        point("m", 100, 4.0),
        point("m+snapkv", 100, 2.0, notes=["snapkv skipped", "a warning"]),
        point("m", 200, 16.0, peak_bytes=None, loaded_bytes=None),
        {"recipe": "m+snapkv", "tokens": 328, "skipped": "too long"},
    ]

    first, second, third, last = cells(points)
    grown = {row["recipe"]: row for row in exponents(points)}

    assert (first["× exact"], second["× exact"], second["above models MiB"]) == (1.0, 2.0, "0")
    assert third["peak MiB"] == ""
    assert first["stages and notes"] == "prefill 4.00"
    assert second["stages and notes"] == "prefill 2.00; snapkv skipped; a warning"
    assert last["stages and notes"] == "skipped: too long"
    assert grown["m"]["notes"] == ""
    assert grown["m+snapkv"]["notes"] == "at 100: snapkv skipped; a warning"
    assert grown["m"]["prompts"] == "100 to 200"
    assert grown["m"]["seconds"] == "2.00 (2.00 to 2.00)"
    assert grown["m"]["above models"] == grown["m+snapkv"]["seconds"] == ""


def test_the_drawing_has_each_curve_with_its_exponent():
    from cost_curves_chart import chart

    lengths = (1000, 2000, 4000)
    points = [point(name, n, n**power) for name, power in (("m", 2), ("m+<", 1)) for n in lengths]

    drawn = chart(points)

    assert drawn.count("<polyline") == 2 * 4
    assert drawn.count(">exact: 2.00<") == drawn.count(">&lt;: 1.00<") == 4
    assert "not measured" in chart([{**one, "peak_bytes": None} for one in points])


def test_points_are_appended_after_the_last_whole_line(tmp_path):
    from cost_curves import KEY, append, key, stored

    path = tmp_path / "results" / "curves.jsonl"
    one, other = ({**dict.fromkeys(KEY, ""), "recipe": name} for name in "ab")
    append(path, one)
    with path.open("a") as file:
        file.write(json.dumps(other)[:20])

    assert list(stored(path)) == [key(one)]
    append(path, other)
    assert list(stored(path).values()) == [one, other]


@pytest.mark.slow
def test_a_command_measures_only_the_points_that_its_file_lacks(tiny, tmp_path):
    results, drawing = tmp_path / "curves.jsonl", tmp_path / "curves.svg"

    def run(*tokens, recipes=("", "{draft}specpc-shallow(keep={keep})")):
        command = [sys.executable, "benchmarks/cost_curves.py", str(tiny), "--keep", "200"]
        command += ["--results", str(results), "--drawing", str(drawing)]
        command += ["--tokens", *map(str, tokens), "--recipes", *recipes]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )

    assert run(512, 1024).returncode == 0
    before = results.read_text()
    longer = run(1024, 512, 9000)
    refused = run(512, recipes=["snap-kv"])

    assert longer.returncode == 0
    assert "skipped: the prompt has" in longer.stderr
    assert results.read_text().startswith(before)
    assert [json.loads(line)["tokens"] for line in results.read_text().splitlines()] == [
        *(512, 512, 1024, 1024, 9000, 9000)
    ]
    assert "384 to 896" in longer.stderr
    assert drawing.read_text().count("<polyline") == 2 * 4
    assert refused.returncode == 2
    assert "did you mean snapkv or" in refused.stderr

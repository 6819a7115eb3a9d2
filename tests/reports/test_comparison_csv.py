import csv
import io
import math
from dataclasses import replace

from forethought.reports.comparison import comparison_csv
from tests.reports.comparisons import SMALL, large


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_every_recipe_has_a_row_for_each_task_and_one_in_total() -> None:
    comparison = large()
    found = rows(comparison_csv(comparison))

    assert [(row["recipe"], row["task"]) for row in found] == [
        (one.recipe, task) for one in comparison.standings for task in (*comparison.tasks, "")
    ]


def test_numbers_come_back_as_they_were() -> None:
    comparison = large()
    totals = [row for row in rows(comparison_csv(comparison)) if not row["task"]]

    for row, one in zip(totals, comparison.standings, strict=True):
        assert float(row["score"]) == one.score.value
        assert float(row["score_low"]) == one.score.low
        assert float(row["cache_bytes"]) == one.cache_bytes
        assert float(row["first_token"]) == one.first_token
        assert float(row["flops"]) == one.flops
        assert row["frontier_flops"] == str(int("flops" in one.frontier))


def test_a_total_holds_the_difference_to_the_first_recipe() -> None:
    first, second, _ = (row for row in rows(comparison_csv(SMALL)) if not row["task"])

    assert first["difference"] == ""
    assert (second["baseline"], second["wins"], second["losses"]) == ("smollm2", "1", "2")
    assert [float(second[f"difference{part}"]) for part in ("", "_low", "_high")] == [
        -0.025,
        -0.075,
        0.02,
    ]


def test_lines_end_as_the_standard_says_and_signs_are_quoted() -> None:
    strange = 'm+a(path="x,y\n")'
    one = replace(SMALL.standings[0], recipe=strange)
    text = comparison_csv(replace(SMALL, standings=(one,), differences=()))

    assert text.splitlines(keepends=True)[0].endswith("\r\n")
    assert {row["recipe"] for row in rows(text)} == {strange}


def test_what_is_not_a_number_is_left_empty() -> None:
    one = replace(SMALL.standings[0], first_token=math.nan)
    found = rows(comparison_csv(replace(SMALL, standings=(one,), differences=())))

    assert found[-1]["first_token"] == ""


def test_no_column_of_a_clock_without_timing() -> None:
    slower = replace(
        SMALL, standings=tuple(replace(one, first_token=99.0) for one in SMALL.standings)
    )

    assert "first_token" not in comparison_csv(SMALL, timing=False)
    assert comparison_csv(SMALL, timing=False) == comparison_csv(slower, timing=False)

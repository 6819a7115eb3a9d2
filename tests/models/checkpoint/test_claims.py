from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from forethought.contracts.errors import DamagedFileError
from forethought.models.checkpoint.claims import Claims, read_record


def claims(**stated: Any) -> Claims:
    return Claims(stated, "the file x")


@pytest.mark.parametrize("value", [True, "4", 4.5, [4], 0, -4, 1 << 41, float("inf")])
def test_a_count_is_a_whole_number_within_limits(value: Any) -> None:
    assert claims(layers=4.0).count("layers") == 4
    with pytest.raises(DamagedFileError, match=r"the file x states .* for 'layers'"):
        claims(layers=value).count("layers")


@pytest.mark.parametrize("value", [True, "1", [1.0], float("nan"), float("inf"), 1e39, 0.0])
def test_a_number_is_finite_and_above_its_limit(value: Any) -> None:
    assert claims(theta=3).number("theta", above=0) == 3.0
    with pytest.raises(DamagedFileError, match="for 'theta'"):
        claims(theta=value).number("theta", above=0)


@pytest.mark.parametrize("value", [3, ["a"], "\ud800", "a" * 9])
def test_a_text_is_short_and_can_be_written(value: Any) -> None:
    assert claims(name="a").text("name", longest=8) == "a"
    with pytest.raises(DamagedFileError, match="for 'name'"):
        claims(name=value).text("name", longest=8)


@pytest.mark.parametrize("value", [1, "true", []])
def test_a_flag_is_nothing_but_true_or_false(value: Any) -> None:
    assert claims(tied=False).flag("tied", True) is False
    with pytest.raises(DamagedFileError, match="for 'tied'"):
        claims(tied=value).flag("tied", True)


def test_nothing_stands_for_the_default_or_is_missed() -> None:
    assert claims(layers=None).count("layers", 7) == 7
    assert claims().maybe_count("layers") is None
    with pytest.raises(DamagedFileError, match="states no 'layers'"):
        claims(layers=None).count("layers")


def test_lists_are_checked_value_by_value() -> None:
    assert claims(ends=np.array([1, 2])).counts("ends") == [1, 2]
    for wrong in ([1, "2"], "12", {"1": 2}, 3):
        with pytest.raises(DamagedFileError, match="for 'ends'"):
            claims(ends=wrong).counts("ends")


def test_errors_name_the_place_inside_and_shorten_the_value() -> None:
    with pytest.raises(DamagedFileError) as caught:
        claims(rope={"theta": "x" * 10_000}).inner("rope").number("theta")

    assert "the file x, rope states 'xxx" in caught.value.message
    assert len(caught.value.message) < 200


@dataclass(frozen=True)
class Sizes:
    layers: int
    share: float = 0.5
    windows: tuple[int | None, ...] = ()
    cap: float | None = None


def test_a_record_is_read_by_the_types_of_its_fields() -> None:
    found = read_record(Sizes, claims(layers=2, windows=[4, None], cap=None))

    assert found == Sizes(2, windows=(4, None))


@pytest.mark.parametrize(
    "wrong",
    [{}, {"layers": "2"}, {"layers": 2, "windows": 3}, {"layers": 2, "wheels": 4}],
)
def test_a_record_with_other_fields_or_types_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(DamagedFileError):
        read_record(Sizes, claims(**wrong))

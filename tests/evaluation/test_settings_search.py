"""The search over settings, on functions whose best admissible place is known."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from forethought.contracts.errors import BadParameterError, UsageError
from forethought.evaluation.settings_search import (
    FIRST,
    SAMPLERS,
    Measurement,
    SettingsSearch,
    imported_optuna,
)
from forethought.evaluation.settings_space import SettingsSpace

GRID = SettingsSpace.of("m(x=0|1|2|3|4|5|6|7|8|9|10|11, y=0|1|2|3|4|5|6|7|8|9|10|11)")


def test_a_space_is_all_combinations_of_its_values() -> None:
    found = SettingsSpace.of("snapkv(keep=0.1..0.9, window=8|16|32)+r2c(keep=64..65)")

    assert found.candidates == 16 * 3 * 2
    assert found.spelled((0, 0, 0)) == "snapkv(keep=0.1, window=8)+r2c(keep=64)"
    assert found.spelled((15, 2, 1)) == "snapkv(keep=0.9, window=32)+r2c(keep=65)"
    assert [one.ordered for one in found.settings] == [True, True, True]


def test_ranges_of_a_factor_of_four_are_spaced_in_ratio_and_names_have_no_order() -> None:
    found = SettingsSpace.of("m(keep=1..16, by=mean|max)+k(bits=8|4)")

    assert {"1", "4", "16"} <= {*found.settings[0].values}
    assert found.settings[1].values == ("mean", "max")
    assert not found.settings[1].ordered
    assert found.settings[2].values == ("4", "8")


@pytest.mark.parametrize(
    "text", ["snapkv(keep=5)", "m(k=5..2)", "m(k=a..b)", "m(k=1|)", "m(k=1..2..3)"]
)
def test_a_text_that_is_no_space_is_refused(text: str) -> None:
    with pytest.raises(BadParameterError) as caught:
        SettingsSpace.of(text)
    assert "keep=64..512" in caught.value.hint


def searched(sampler: str, trials: int, seed: int = 0) -> SettingsSearch:
    """Cost rises and the score falls with the first coordinate; some places are refused."""
    search = SettingsSearch(GRID, -0.1, sampler, seed)
    while len(search.tried) < trials:
        place = search.following()
        x, y = (number / 11 for number in place)
        refused = y > 0.95
        search.tell(
            place, None if refused else Measurement(x + (y - 0.4) ** 2, -((1 - x) ** 2) / 2)
        )
    return search


# Admissible where (1 - x)^2 / 2 <= 0.1: x >= 0.553, of the grid 7/11.
OPTIMUM = 7 / 11 + (4 / 11 - 0.4) ** 2


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_search_comes_close_to_the_best_admissible_place(sampler: str) -> None:
    search = searched(sampler, 16)
    best = search.tried[search.best()]

    assert best.change >= -0.1
    assert best.cost < OPTIMUM + 0.05
    assert [*search.tried] == [*searched(sampler, 16).tried]
    assert len(search.tried) == 16


@pytest.mark.parametrize("sampler", ["gp", "wide-network"])
def test_it_beats_random_places_on_average(sampler: str) -> None:
    costs, random = [], []
    for seed in range(3):
        search = searched(sampler, 14, seed)
        costs.append(search.tried[search.best()].cost)
        drawn = np.random.default_rng(seed).permutation(144)[:14]
        few = np.stack([drawn // 12, drawn % 12], 1) / 11
        allowed = few[((1 - few[:, 0]) ** 2 / 2 <= 0.1) & (few[:, 1] <= 0.95)]
        random.append((allowed[:, 0] + (allowed[:, 1] - 0.4) ** 2).min())

    assert np.mean(costs) < np.mean(random)
    assert np.mean(costs) < OPTIMUM + 0.03


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_all_places_are_tried_once_and_then_none(sampler: str) -> None:
    search = SettingsSearch(SettingsSpace.of("m(a=1..4, by=mean|max)"), 0.0, sampler)
    places = []
    while (place := search.following()) is not None:
        places.append(place)
        search.tell(place, None if len(search.tried) < FIRST else Measurement(0.0, -1.0))

    assert sorted(places) == [(a, b) for a in range(4) for b in range(2)]
    assert search.best() is None


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)

    with pytest.raises(UsageError, match="needs the package optuna") as caught:
        imported_optuna()
    assert "'.[tune]'" in caught.value.hint

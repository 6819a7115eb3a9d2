"""The search over settings, on functions whose best admissible point is known."""

from __future__ import annotations

import numpy as np
import pytest

from forethought.contracts.errors import BadParameterError
from forethought.evaluation.settings_search import FIRST, FITS, Measurement, SettingsSearch
from forethought.evaluation.settings_space import SettingsSpace


def space(text: str) -> SettingsSpace:
    return SettingsSpace.of(text, np.random.default_rng(0))


def test_a_space_is_all_combinations_of_its_values() -> None:
    found = space("snapkv(keep=0.1..0.9, window=8|16|32)+r2c(keep=64..65)")

    assert len(found.spellings) == 16 * 3 * 2
    assert found.spellings[0] == "snapkv(keep=0.1, window=8)+r2c(keep=64)"
    assert found.spellings[-1] == "snapkv(keep=0.9, window=32)+r2c(keep=65)"
    assert (found.points.min(), found.points.max()) == (0, 1)
    assert found.points.shape == (96, 3)


def test_ranges_of_a_factor_of_four_are_spaced_in_ratio_and_names_have_columns() -> None:
    found = space("m(keep=1..16, by=mean|max)")

    assert "m(keep=4, by=max)" in found.spellings
    assert found.points.shape == (2 * len({one.split(",")[0] for one in found.spellings}), 3)


@pytest.mark.parametrize(
    "text", ["snapkv(keep=5)", "m(k=5..2)", "m(k=a..b)", "m(k=1|)", "m(k=1..2..3)"]
)
def test_a_text_that_is_no_space_is_refused(text: str) -> None:
    with pytest.raises(BadParameterError) as caught:
        space(text)
    assert "keep=64..512" in caught.value.hint


def test_a_large_space_is_sampled() -> None:
    found = space("m(a=1..99, b=1..99, c=1..99, d=1..99)")

    assert 3500 < len(found.spellings) <= 4096
    assert len(set(found.spellings)) == len(found.spellings)


def searched(fit: str, trials: int, seed: int = 0):
    """Cost rises and the score falls with the first coordinate; some points are refused."""
    points = np.stack(np.meshgrid(*[np.linspace(0, 1, 12)] * 2), -1).reshape(-1, 2)
    search = SettingsSearch(points, -0.1, FITS[fit], seed)
    tried: dict[int, Measurement | None] = {}
    for _ in range(trials):
        place = search.following(tried)
        x, y = points[place]
        tried[place] = None if y > 0.95 else Measurement(x + (y - 0.4) ** 2, -((1 - x) ** 2) / 2)
    return points, tried, search.best(tried)


@pytest.mark.parametrize("fit", list(FITS))
def test_the_search_comes_close_to_the_best_admissible_point(fit: str) -> None:
    points, tried, best = searched(fit, 24)
    # Admissible where (1 - x)^2 / 2 <= 0.1: x >= 0.553, of the grid 7/11.
    optimum = 7 / 11 + (4 / 11 - 0.4) ** 2

    assert tried[best].change >= -0.1
    assert tried[best].cost < optimum + 0.05
    assert tried == searched(fit, 24)[1]
    assert len(points) == 144


def test_it_beats_random_points_on_average() -> None:
    costs, random = [], []
    for seed in range(5):
        points, tried, best = searched("gp", 16, seed)
        costs.append(tried[best].cost)
        few = points[np.random.default_rng(seed).permutation(len(points))[:16]]
        allowed = few[((1 - few[:, 0]) ** 2 / 2 <= 0.1) & (few[:, 1] <= 0.95)]
        random.append((allowed[:, 0] + (allowed[:, 1] - 0.4) ** 2).min())

    assert np.mean(costs) < np.mean(random)


def test_all_points_are_tried_once_and_then_none() -> None:
    search = SettingsSearch(np.linspace(0, 1, 7)[:, None], 0.0, FITS["gp"])
    tried: dict[int, Measurement | None] = {}
    while (place := search.following(tried)) is not None:
        tried[place] = None if len(tried) < FIRST else Measurement(0.0, -1.0)

    assert sorted(tried) == [*range(7)]
    assert search.best(tried) is None

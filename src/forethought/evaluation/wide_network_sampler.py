"""A sampler of optuna whose surrogate is an infinitely wide network (arXiv:2305.20028).

This module imports optuna, so it is imported late.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from forethought.numerics.surrogates import chance_above, expected_improvement, fit_wide_network

Floats = NDArray[np.float64]
DRAWN = 2048
"""Points among which the acquisition chooses."""


class WideNetworkSampler(BaseSampler):
    """Expected improvement times the probability that every constraint holds."""

    def __init__(self, seed: int, first: int) -> None:
        self._first = first
        """Trials that are drawn at random."""
        self._random = RandomSampler(seed)
        self._rng = np.random.default_rng(seed)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The distributions of the finished trials, which all have the same ones."""
        done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return dict(done[0].distributions) if len(done) >= self._first else {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The drawn parameters of greatest acquisition."""
        if not search_space:
            return {}
        done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        known = [one.params for one in done]
        drawn = [one for one in self._drawn(search_space) if one not in known] or known
        at, points = (
            np.array([_point(one, search_space) for one in some]) for some in (known, drawn)
        )
        return drawn[int(_worth(done, at, points).argmax())]

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A random value."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)

    def _drawn(self, space: dict[str, BaseDistribution]) -> list[dict[str, Any]]:
        """All combinations of values, or some of them."""
        counts = [_count(one) for one in space.values()]
        total = prod(counts)
        chosen = np.arange(total) if total <= DRAWN else self._rng.integers(total, size=DRAWN)
        places = np.array(np.unravel_index(np.unique(chosen), counts)).T
        return [dict(zip(space, map(int, place), strict=True)) for place in places]


def _worth(done: list[FrozenTrial], at: Floats, points: Floats) -> Floats:
    worth = np.ones(len(points))
    for name in done[0].constraints:
        violated = np.array([one.constraints[name] for one in done])
        worth *= chance_above(fit_wide_network(at, -violated).predict(points), 0.0)
    costs = np.array([float(one.value or 0.0) for one in done])
    allowed = [max(one.constraints.values(), default=0.0) <= 0 for one in done]
    if not any(allowed):
        return worth
    improvement = expected_improvement(
        fit_wide_network(at, costs).predict(points), float(costs[allowed].min())
    )
    return worth * improvement


def _count(one: BaseDistribution) -> int:
    """The number of values of a setting, which are numbered from 0."""
    if isinstance(one, CategoricalDistribution):
        return len(one.choices)
    assert isinstance(one, IntDistribution), "settings have numbered values"
    return one.high + 1


def _point(params: dict[str, Any], space: dict[str, BaseDistribution]) -> Floats:
    """A point in the unit cube: a column for numbers, else one for each value."""
    columns = [
        [params[name] / max(1, _count(one) - 1)]
        if isinstance(one, IntDistribution)
        else np.eye(_count(one))[params[name]]
        for name, one in space.items()
    ]
    return np.concatenate(columns)

"""Bayesian optimisation over settings by optuna: least cost under a constraint on the score."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from forethought.contracts.errors import UsageError
from forethought.evaluation.settings_space import Place, SettingsSpace

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler

SAMPLERS = ("gp", "tpe", "wide-network")
"""Names of the surrogates."""
FIRST = 4
"""Recipes drawn at random before a surrogate chooses; searches are short."""
LOSS = "loss"
"""The name of the constraint of a trial: admissible if it is not above 0."""


@dataclass(frozen=True)
class Measurement:
    """The measured result at a place."""

    cost: float
    """The quantity to minimise, finite."""
    change: float
    """The difference of scores that the constraint bounds from below."""


class SettingsSearch:
    """Proposes places of a space; the same seed and outcomes give the same proposals."""

    def __init__(self, space: SettingsSpace, least: float, sampler: str, seed: int = 0) -> None:
        optuna = imported_optuna()
        self.space, self.least = space, least
        """`least` is the least change of an admissible place."""
        self.tried: dict[Place, Measurement | None] = {}
        """Measured places; a refused one has no outcome."""
        self._rng = np.random.default_rng(seed)
        self._study = optuna.create_study(sampler=_sampler(sampler, seed))
        self._proposed: Any = None
        self._distributions = {str(n): one for n, one in enumerate(_distributions(space))}

    def following(self) -> Place | None:
        """A place that was not tried; None once all were. Its outcome goes to `tell`."""
        if len(self.tried) == self.space.candidates:
            return None
        while (place := self._asked()) in self.tried:
            # The surrogate returns to a known place: another one, at random, teaches more.
            self.tell(place, self.tried[place])
            self._study.enqueue_trial(dict(zip(self._distributions, self._untried(), strict=True)))
        return place

    def tell(self, place: Place, outcome: Measurement | None) -> None:
        """Record the outcome of the proposed place."""
        from optuna.trial import TrialState

        self.tried[place] = outcome
        if outcome is None:
            self._study.tell(self._proposed, state=TrialState.FAIL)
            return
        self._proposed.set_constraint(LOSS, self.least - outcome.change)
        self._study.tell(self._proposed, outcome.cost)

    def best(self) -> Place | None:
        """The admissible place of least cost; None if there is none."""
        allowed = {
            place: one.cost
            for place, one in self.tried.items()
            if one is not None and one.change >= self.least
        }
        return min(allowed, key=lambda place: allowed[place], default=None)

    def _asked(self) -> Place:
        self._proposed = self._study.ask(self._distributions)
        return tuple(int(self._proposed.params[name]) for name in self._distributions)

    def _untried(self) -> Place:
        sizes = self.space.sizes
        while True:
            place = tuple(int(self._rng.integers(size)) for size in sizes)
            if place not in self.tried:
                return place


def imported_optuna() -> Any:
    """The package optuna; UsageError if it is not installed."""
    try:
        import optuna
    except ImportError:
        raise UsageError(
            "tune --settings needs the package optuna",
            "install it: pip install '.[tune]' in a checkout",
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _sampler(name: str, seed: int) -> BaseSampler:
    from optuna.samplers import GPSampler, TPESampler

    if name == "gp":
        return GPSampler(seed=seed, n_startup_trials=FIRST)
    if name == "tpe":
        return TPESampler(seed=seed, n_startup_trials=FIRST)
    from forethought.evaluation.wide_network_sampler import WideNetworkSampler

    return WideNetworkSampler(seed, FIRST)


def _distributions(space: SettingsSpace) -> Iterator[BaseDistribution]:
    from optuna.distributions import CategoricalDistribution, IntDistribution

    for one in space.settings:
        count = len(one.values)
        numbers = IntDistribution(0, count - 1)
        yield numbers if one.ordered else CategoricalDistribution(tuple(range(count)))

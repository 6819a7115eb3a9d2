"""A broad prior over difficulty: laws of the success rate of a task's questions, by simulation.

A world is one such law. It has a share of questions that no sample solves, and one to three
groups of questions, whose rates follow a Beta law or a normal law of the log-odds. A world is a
function of a point of the unit cube, so that Markov chains can move it (`grid_bank.py`).

Normal laws are the rule and Beta laws the exception: a Beta law that explains many unsolved
questions leaves no place for questions of a rate of one in a hundred, which k = 256 solves.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv, expit, ndtr, ndtri

Floats = NDArray[np.float64]

NODES = 96
"""Success rates of the grid: exactly 0, then rates evenly spaced in log-odds."""
GROUPS = 3
DIMENSIONS = 2 + GROUPS + 3 * GROUPS
"""Zero share, number of groups, weights of the groups; then law, place and width of each."""
_ZERO_WORLDS, _BETA_GROUPS = 0.3, 0.2
"""Probability that a world has unsolvable questions, and that a group follows a Beta law."""
PRIOR = (
    "zero .3 Beta(.5,4); groups 1-3; .2 Beta logN(.7,.8) logN(2,.9), logit N(-2.5,3.5) U(.3,1.5)"
)
"""The prior in short; amortised models store it with their weights."""
_LOWEST, _HIGHEST = -13.0, 9.0


@cache
def log_odds() -> Floats:
    """The log-odds of the grid's rates above 0, [95]."""
    found: Floats = np.linspace(_LOWEST, _HIGHEST, NODES - 1)
    return found


@cache
def rates() -> Floats:
    """The success rates of the grid, [96]."""
    found: Floats = np.concatenate(([0.0], expit(log_odds())))
    return found


def points(rng: np.random.Generator, count: int) -> Floats:
    """Uniform points of the unit cube, one a world, [count, DIMENSIONS]."""
    return rng.random((count, DIMENSIONS))


def histograms(cube: Floats) -> Floats:
    """The share of questions at each rate of the grid, [worlds, 96]."""
    zero = _zero_shares(cube[:, 0])
    weights = _group_weights(cube[:, 1], cube[:, 2 : 2 + GROUPS])
    above = np.zeros((len(cube), NODES - 1))
    for group in range(GROUPS):
        own = cube[:, 2 + GROUPS + 3 * group :][:, :3]
        above += weights[:, group, None] * _group_law(own)
    return np.concatenate((zero[:, None], (1 - zero)[:, None] * above), axis=1)


def _zero_shares(place: Floats) -> Floats:
    """Beta(1/2, 4) in three of ten worlds, else 0."""
    found: Floats = betaincinv(0.5, 4.0, (place / _ZERO_WORLDS).clip(0.0, 1.0))
    return np.where(place < _ZERO_WORLDS, found, 0.0)


def _group_weights(count: Floats, place: Floats) -> Floats:
    """Uniform on the simplex of the one, two or three groups, [worlds, GROUPS]."""
    there = np.arange(GROUPS) < 1 + np.floor(count * GROUPS)[:, None]
    sizes = np.where(there, -np.log(place.clip(1e-300)), 0.0)
    found: Floats = sizes / sizes.sum(axis=1, keepdims=True).clip(1e-300)
    return found


def _group_law(place: Floats) -> Floats:
    """One group's share at each rate above 0, [worlds, 95]: place[:, 0] chooses the law."""
    beta = place[:, 0] < _BETA_GROUPS
    found = np.empty((len(place), NODES - 1))
    found[beta] = _beta_law(place[beta])
    found[~beta] = _normal_law(place[~beta])
    return found


def _beta_law(place: Floats) -> Floats:
    a = 0.7 * np.exp(0.8 * ndtri(place[:, 1]))
    b = 2.0 * np.exp(0.9 * ndtri(place[:, 2]))
    return np.diff(betainc(a[:, None], b[:, None], _edges()), axis=1)


def _normal_law(place: Floats) -> Floats:
    mean = -2.5 + 3.5 * ndtri(place[:, 1])
    width = 0.3 + 1.2 * place[:, 2]
    edges = np.concatenate(([-np.inf], (log_odds()[1:] + log_odds()[:-1]) / 2, [np.inf]))
    return np.diff(ndtr((edges - mean[:, None]) / width[:, None]), axis=1)


def _edges() -> Floats:
    """Rates halfway between the grid's in log-odds, from 0 to 1, [96]."""
    middle = expit((log_odds()[1:] + log_odds()[:-1]) / 2)
    return np.concatenate(([0.0], middle, [1.0]))

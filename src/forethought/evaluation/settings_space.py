"""A space of recipes: a spelling in which some settings have a range or a list of values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from forethought.contracts.errors import BadParameterError

_VALUE = re.compile(r"=\s*([^\s,()=]*(?:\.\.|\|)[^\s,()=]*)")
_STEPS = 16
_MOST = 4096
_HINT = "write ranges as keep=64..512 and choices as window=8|16|32"


@dataclass(frozen=True)
class Setting:
    """The values of one setting, and their coordinates."""

    values: tuple[str, ...]
    coordinates: NDArray[np.float64]
    """[values, D], from 0 to 1: one column for numbers, else one for each value."""


@dataclass(frozen=True)
class SettingsSpace:
    """Candidate recipes and their points in the unit cube."""

    spellings: tuple[str, ...]
    points: NDArray[np.float64]
    """[candidates, D]."""

    @classmethod
    def of(cls, text: str, rng: np.random.Generator) -> SettingsSpace:
        """All combinations of the values that `text` gives, or 4,096 of them drawn at random."""
        pieces = _VALUE.split(text)
        settings = [_setting(one) for one in pieces[1::2]]
        if not settings:
            raise BadParameterError(f"{text!r} has no setting to choose", _HINT)
        sizes = [len(one.values) for one in settings]
        total = prod(sizes)
        chosen = np.arange(total) if total <= _MOST else _drawn(total, rng)
        places = np.array(np.unravel_index(chosen, sizes)).T
        return cls(
            tuple(_spelled(pieces[0::2], settings, row) for row in places),
            np.array([_point(settings, row) for row in places]),
        )


def _drawn(total: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return np.unique(rng.integers(total, size=_MOST))


def _spelled(texts: Sequence[str], settings: Sequence[Setting], places: Sequence[int]) -> str:
    chosen = [f"={one.values[place]}" for one, place in zip(settings, places, strict=True)]
    return "".join(part for pair in zip(texts, [*chosen, ""], strict=True) for part in pair)


def _point(settings: Sequence[Setting], places: Sequence[int]) -> NDArray[np.float64]:
    columns = [one.coordinates[place] for one, place in zip(settings, places, strict=True)]
    return np.concatenate(columns)


def _setting(text: str) -> Setting:
    if ".." in text:
        values = _range(text)
    else:
        values = tuple(dict.fromkeys(text.split("|")))
        if "" in values or len(values) < 2:
            raise BadParameterError(f"{text!r} is no list of two values or more", _HINT)
    if ".." not in text and not all(map(_is_number, values)):
        return Setting(values, np.eye(len(values)))
    return Setting(values, np.linspace(0, 1, len(values))[:, None])


def _range(text: str) -> tuple[str, ...]:
    """Up to 16 numbers between two, evenly spaced, or in ratio if they span a factor of 4."""
    ends = text.split("..")
    if len(ends) != 2 or not all(map(_is_number, ends)) or not float(ends[0]) < float(ends[1]):
        raise BadParameterError(f"{text!r} is no range of numbers", _HINT)
    low, high = map(float, ends)
    spaced = np.geomspace if low > 0 and high >= 4 * low else np.linspace
    numbers = [float(one) for one in spaced(low, high, _STEPS)]
    whole = all(re.fullmatch(r"-?\d+", end) for end in ends)
    shown = [str(round(one)) if whole else f"{one:.3g}" for one in numbers]
    return tuple(dict.fromkeys(shown))


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", text) is not None

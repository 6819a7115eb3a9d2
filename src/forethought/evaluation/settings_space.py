"""A space of recipes: a spelling in which some settings have a range or a list of values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod

import numpy as np

from forethought.contracts.errors import BadParameterError

_VALUE = re.compile(r"=\s*([^\s,()=]*(?:\.\.|\|)[^\s,()=]*)")
_STEPS = 16
_HINT = "write ranges as keep=64..512 and choices as window=8|16|32"
Place = tuple[int, ...]
"""The number of a value of each setting."""


@dataclass(frozen=True)
class Setting:
    """The values of one setting."""

    values: tuple[str, ...]
    ordered: bool
    """Whether the values are numbers in ascending order."""


@dataclass(frozen=True)
class SettingsSpace:
    """Candidate recipes: every combination of the values of some settings."""

    texts: tuple[str, ...]
    """The text around the settings."""
    settings: tuple[Setting, ...]

    @classmethod
    def of(cls, text: str) -> SettingsSpace:
        """The space that `text` spells."""
        pieces = _VALUE.split(text)
        settings = tuple(_setting(one) for one in pieces[1::2])
        if not settings:
            raise BadParameterError(f"{text!r} has no setting to choose", _HINT)
        return cls(tuple(pieces[0::2]), settings)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of values of each setting."""
        return tuple(len(one.values) for one in self.settings)

    @property
    def candidates(self) -> int:
        """The number of combinations."""
        return prod(self.sizes)

    def spelled(self, place: Place) -> str:
        """The recipe at a place."""
        values = (one.values[n] for one, n in zip(self.settings, place, strict=True))
        chosen = [f"={value}" for value in values]
        return "".join(
            part for pair in zip(self.texts, [*chosen, ""], strict=True) for part in pair
        )


def _setting(text: str) -> Setting:
    if ".." in text:
        return Setting(_range(text), ordered=True)
    values = tuple(dict.fromkeys(text.split("|")))
    if "" in values or len(values) < 2:
        raise BadParameterError(f"{text!r} is no list of two values or more", _HINT)
    ordered = all(map(_is_number, values))
    return Setting(tuple(sorted(values, key=float)) if ordered else values, ordered)


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

"""The plan that `tune` writes and `difficulty-router` follows: a strategy for each difficulty."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, Literal

from forethought.contracts.file_format import FileFormat

_FORMAT = FileFormat(
    "forethought difficulty plan", 1, "is not a difficulty plan", "make one: forethought tune"
)
Sign = Literal["agreement", "likelihood"]
SIGNS: tuple[Sign, ...] = ("agreement", "likelihood")


@dataclass(frozen=True)
class DifficultyBin:
    """Questions of similar estimated difficulty."""

    least: tuple[float, float]
    """The minimum signals of a question in this bin, unless an easier bin takes it."""
    strategy: str


@dataclass(frozen=True)
class DifficultyPlan:
    """A strategy for each bin of difficulty, easiest first; the last bin takes the rest."""

    bins: tuple[DifficultyBin, ...]
    probe: int = 0
    """Answers sampled to estimate difficulty; 0 with a single bin."""
    by: Sign = "agreement"
    """The first signal; the other one breaks ties."""
    model: str = ""
    """The model, draft and methods of the fit, as a recipe spells them."""
    tasks: tuple[str, ...] = ()
    """The tasks of the fit."""
    told: Mapping[str, Any] = field(default_factory=dict)
    """Results of the fit."""

    def bin_of(self, agreement: float, likelihood: float) -> int:
        """The index of the bin for a question with these signals."""
        signs = ordered(self.by, agreement, likelihood)
        places = range(len(self.bins))
        return next((at for at in places if signs >= self.bins[at].least), places[-1])

    def text(self) -> str:
        """The plan as JSON text for a file."""
        return _FORMAT.text(asdict(self))

    @property
    def digest(self) -> str:
        """A short hash of the whole plan."""
        # A letter in front makes it a word, which needs no quotes in a recipe.
        return "p" + hashlib.sha256(self.text().encode()).hexdigest()[:8]


def ordered(by: Sign, agreement: float, likelihood: float) -> tuple[float, float]:
    """The two signals in the order of comparison."""
    return (agreement, likelihood) if by == "agreement" else (likelihood, agreement)


def read_plan(text: str, where: str) -> DifficultyPlan:
    """The plan in a file's text; raises BadDataError if it holds none."""
    found = _FORMAT.read(text, where, _plan)
    if problem := _problem(found):
        raise _FORMAT.error(where, problem)
    return found


def _plan(held: Mapping[str, Any]) -> DifficultyPlan:
    return DifficultyPlan(
        bins=tuple(_bin(one) for one in held["bins"]),
        probe=held["probe"],
        by=held["by"],
        model=held["model"],
        tasks=tuple(held["tasks"]),
        told=held["told"],
    )


def _bin(held: Mapping[str, Any]) -> DifficultyBin:
    first, second = held["least"]
    return DifficultyBin((float(first), float(second)), str(held["strategy"]))


def _problem(plan: DifficultyPlan) -> str:
    limits: Sequence[tuple[float, float]] = [one.least for one in plan.bins]
    if not plan.bins:
        return "it has no bins"
    if plan.by not in SIGNS:
        return f"by={plan.by!r} is not one of {', '.join(SIGNS)}"
    if type(plan.probe) is not int or plan.probe < (len(plan.bins) > 1):
        return f"probe={plan.probe!r} must be a whole number above 0"
    if not all(math.isfinite(end) for both in limits for end in both):
        return "a limit is not a number"
    if any(easier <= harder for easier, harder in pairwise(limits)):
        return "its bins are not in order from easy to hard"
    return ""

"""Which strategy suits questions of which difficulty: what `tune` finds and a router follows."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, Literal

from forethought.contracts.errors import BadDataError

KIND = "forethought difficulty plan"
VERSION = 1
Sign = Literal["agreement", "likelihood"]
SIGNS: tuple[Sign, ...] = ("agreement", "likelihood")


@dataclass(frozen=True)
class DifficultyBin:
    """Questions that look about equally hard."""

    least: tuple[float, float]
    """The signs from which on a question belongs here, unless to an easier bin."""
    strategy: str


@dataclass(frozen=True)
class DifficultyPlan:
    """A strategy for each bin of difficulty, the easiest first; the last takes all that is left."""

    bins: tuple[DifficultyBin, ...]
    probe: int = 0
    """Answers drawn to see how hard a question is; 0 where there is nothing to choose."""
    by: Sign = "agreement"
    """The sign looked at first; the other one decides where that is equal."""
    model: str = ""
    """What it was fitted for: model, draft and methods, as a recipe spells them."""
    tasks: tuple[str, ...] = ()
    """What it was fitted on."""
    told: Mapping[str, Any] = field(default_factory=dict)
    """What was found in fitting it."""

    def bin_of(self, agreement: float, likelihood: float) -> int:
        """The place of the bin of a question with these signs."""
        signs = ordered(self.by, agreement, likelihood)
        places = range(len(self.bins))
        return next((at for at in places if signs >= self.bins[at].least), places[-1])

    def text(self) -> str:
        """The plan as the file that holds it."""
        return json.dumps({"kind": KIND, "version": VERSION, **asdict(self)}, indent=2) + "\n"

    @property
    def digest(self) -> str:
        """Names it by all that it holds."""
        # A letter in front makes it a word, which needs no quotes in a recipe.
        return "p" + hashlib.sha256(self.text().encode()).hexdigest()[:8]


def ordered(by: Sign, agreement: float, likelihood: float) -> tuple[float, float]:
    """Signs in the order they are looked at."""
    return (agreement, likelihood) if by == "agreement" else (likelihood, agreement)


def read_plan(text: str, where: str) -> DifficultyPlan:
    """The plan that a file's text holds; BadDataError where it holds none."""
    try:
        held = json.loads(text)
    except ValueError as error:
        raise _foreign(where, f"it is not JSON: {error}") from error
    if not isinstance(held, dict) or held.get("kind") != KIND:
        raise _foreign(where, f"its kind is not {KIND!r}")
    if held.get("version") != VERSION:
        raise _foreign(where, f"its version is {held.get('version')!r}, and {VERSION} is known")
    try:
        found = DifficultyPlan(
            bins=tuple(_bin(one) for one in held["bins"]),
            probe=held["probe"],
            by=held["by"],
            model=held["model"],
            tasks=tuple(held["tasks"]),
            told=held["told"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _foreign(where, f"a part of it is missing or of another kind: {error!r}") from error
    if problem := _problem(found):
        raise _foreign(where, problem)
    return found


def _bin(held: Mapping[str, Any]) -> DifficultyBin:
    first, second = held["least"]
    return DifficultyBin((float(first), float(second)), str(held["strategy"]))


def _problem(plan: DifficultyPlan) -> str:
    limits: Sequence[tuple[float, float]] = [one.least for one in plan.bins]
    if not plan.bins:
        return "it has no bins"
    if plan.by not in SIGNS:
        return f"by={plan.by!r} is no sign"
    if type(plan.probe) is not int or plan.probe < (len(plan.bins) > 1):
        return f"a probe of {plan.probe!r} answers tells nothing"
    if not all(math.isfinite(end) for both in limits for end in both):
        return "a limit is no number"
    if any(easier <= harder for easier, harder in pairwise(limits)):
        return "its bins do not go from easy to hard"
    return ""


def _foreign(where: str, why: str) -> BadDataError:
    return BadDataError(f"{where} is no plan of difficulties: {why}", "make one: forethought tune")

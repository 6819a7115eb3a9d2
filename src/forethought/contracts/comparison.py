"""Recipes beside each other on the same questions: what `compare` finds and reports show."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Interval:
    """An estimate and the 95 % interval around it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """One recipe's score minus another's over the questions both answered."""

    recipe: str
    against: str
    interval: Interval
    """Paired over questions; clusters of questions are drawn whole."""
    p_value: float
    """Two-sided, that there is no difference; 1 where every pair is equal."""
    questions: int
    wins: int
    losses: int
    detectable: float
    """The smallest true difference that this many questions show in four runs of five."""


@dataclass(frozen=True)
class Standing:
    """How one recipe did."""

    recipe: str
    """Its spelling."""
    questions: int
    score: Interval
    """Mean over tasks of the mean over their questions."""
    tasks: Mapping[str, Interval]
    """By task."""
    cache_bytes: float
    """Mean bytes of keys and values behind the prompt."""
    first_token: float
    """Median seconds to the first token, as if asked alone."""
    flops: float
    """Mean FLOPs of a whole run, drafts and scoring included; not a number, as are the bytes
    and the time, where a server answered, which does not tell."""
    read: float
    """Mean prompt tokens that the target read."""
    frontier: frozenset[str] = frozenset()
    """Of cache_bytes, first_token and flops: where no other recipe is as good and cheaper."""
    usd: float = math.nan
    """Mean US dollars of a whole run; not a number where no price is known."""


@dataclass(frozen=True)
class Refusal:
    """A recipe that is left out, since it cannot answer one of the questions."""

    recipe: str
    task: str
    question: str
    """The first one that it cannot answer."""
    reason: str
    """With the recipe's spelling."""
    hint: str


@dataclass(frozen=True)
class Comparison:
    """Recipes on the same tasks."""

    standings: tuple[Standing, ...]
    """In the order the recipes were given."""
    differences: tuple[Difference, ...]
    """Every recipe against every other, once each way."""
    tasks: tuple[str, ...]
    questions: int
    """Answered by every recipe."""
    provenance: Mapping[str, str] = field(default_factory=dict)
    """Versions, hardware, when and by which command."""
    mixed: tuple[str, ...] = ()
    """What of the provenance is not the same for all samples."""
    refusals: tuple[Refusal, ...] = ()
    """The recipes that were asked for but are not in `standings`."""
    notes: tuple[str, ...] = ()
    """What else a reader should know, in whole sentences."""

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
class Chances:
    """What a search's answers would have come to, had others chosen among them."""

    random: float
    """One taken blindly."""
    oracle: float
    """The best of them, taken by one who knows."""


@dataclass(frozen=True)
class SubsampleCurve:
    """What a recipe reaches with fewer answers than it drew, on average over which."""

    answers: int
    score: float
    tokens: float
    flops: float


@dataclass(frozen=True)
class RecipeResult:
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
    """Of cache_bytes, first_token, flops, tokens and usd: where no other is as good and cheaper."""
    usd: float = math.nan
    """Mean US dollars of a whole run; not a number where no price is known."""
    tokens: float = math.nan
    """Mean tokens of a whole run: the prompt, all that is written, drafts and scoring."""
    counted_from: str = ""
    """The recipe whose kept answers it was counted from, where nothing was asked for it."""
    chances: Chances | None = None
    """Of a search that chose among several answers."""
    fewer: tuple[SubsampleCurve, ...] = ()
    """Ascending, of a search whose draws tell."""


@dataclass(frozen=True)
class AtBudget:
    """What a recipe makes of a budget."""

    recipe: str
    answers: int
    """0 where the budget does not cover one."""
    score: float | None
    """None then."""
    tokens: float
    """What it spends of the budget: less where more answers were not drawn."""


@dataclass(frozen=True)
class EqualCost:
    """What recipes reach for as many tokens."""

    tokens: float
    afforded: tuple[AtBudget, ...]


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

    standings: tuple[RecipeResult, ...]
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
    equal: tuple[EqualCost, ...] = ()
    """By budget, ascending; only where a search's draws tell."""

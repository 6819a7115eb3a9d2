"""A reusable holdout: valid scores after many adaptive questions to one evaluation set.

Thresholdout (arXiv:1506.02629): a query is answered from the tuning half while both halves agree
within a noisy threshold, else from the holdout half with noise, at a charge. A spent budget says
that fresh questions are needed. Raw scores of the holdout half must not reach the tuner by any
other way. To compare two configurations, query their difference, shifted into [0, 1].
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from forethought.contracts.errors import BadDataError, BudgetSpentError, UsageError

FEWEST_ITEMS = 200
"""Items in each half below which the threshold exceeds most differences of interest."""


@dataclass(frozen=True)
class HoldoutAnswer:
    """The answer to one query."""

    value: float
    """The estimate of the mean score."""
    charged: bool
    """Whether both halves differed, which costs one of the budget."""
    left: int
    """The budget that is left."""


@dataclass
class Thresholdout:
    """Answers queries about mean scores; `text` is its state, which `read` restores.

    Noise depends on the seed and the number of the query alone, so a replay of the same queries
    gives the same answers.
    """

    threshold: float
    """Difference of both halves that counts as overfitting: 0.04 in the paper, at 10,000 items."""
    sigma: float
    """Scale of the noise: 0.01 in the paper, at 10,000 items."""
    budget: int
    """Charged answers that are left."""
    seed: int = 0
    queries: int = 0
    """New queries so far."""
    shift: float | None = None
    """Noise in the threshold since the last charge; None before the first query."""
    known: dict[str, tuple[float, bool]] = field(default_factory=dict)
    """Answers by hash of the query: asking again must not average the noise away."""

    @classmethod
    def for_items(cls, items: int, budget: int = 30, seed: int = 0) -> Thresholdout:
        """Threshold and noise for this many holdout items: 4 and 1 over their square root.

        The paper's settings at 10,000 items. UsageError for fewer than 200 items.
        """
        if items < FEWEST_ITEMS:
            raise UsageError(
                f"{items} holdout items are too few for noise that hides them",
                f"give {FEWEST_ITEMS} or more, or score the winner once on fresh questions",
            )
        return cls(4 / math.sqrt(items), 1 / math.sqrt(items), budget, seed)

    def answer(
        self, query: str, tuning: Sequence[float], holdout: Sequence[float]
    ) -> HoldoutAnswer:
        """Answer a query from the scores of both halves, each in [0, 1].

        BudgetSpentError once the budget is spent, for known queries too.
        """
        if self.budget < 1:
            raise BudgetSpentError(
                "the holdout's budget is spent", "evaluate on fresh questions, with a new holdout"
            )
        key = hashlib.sha256(query.encode()).hexdigest()
        if key not in self.known:
            self.known[key] = self._fresh(_mean(tuning), _mean(holdout))
        value, charged = self.known[key]
        return HoldoutAnswer(value, charged, self.budget)

    def text(self) -> str:
        """The state as JSON."""
        return json.dumps(self.__dict__)

    @classmethod
    def read(cls, text: str) -> Thresholdout:
        """The state that `text` gave; BadDataError for anything else."""
        try:
            found = cls(**json.loads(text))
            found.known = {key: (float(v), bool(c)) for key, (v, c) in found.known.items()}
            noise = 0.0 if found.shift is None else found.shift
            sound = all(map(math.isfinite, (found.threshold, found.sigma, noise)))
            sound = sound and min(found.sigma, found.budget, found.queries) >= 0
        except (TypeError, ValueError, AttributeError) as error:
            raise BadDataError("this is no state of a holdout", "start a new one") from error
        if not sound:
            raise BadDataError("this state of a holdout is damaged", "start a new one")
        return found

    def _fresh(self, tuned: float, held: float) -> tuple[float, bool]:
        rng = np.random.default_rng([self.seed, self.queries])
        self.queries += 1
        if self.shift is None:
            self.shift = float(rng.laplace(scale=2 * self.sigma))
        noise = float(rng.laplace(scale=4 * self.sigma))
        if abs(held - tuned) <= self.threshold + self.shift + noise:
            return tuned, False
        self.budget -= 1
        self.shift = float(rng.laplace(scale=2 * self.sigma))
        return held + float(rng.laplace(scale=self.sigma)), True


def halves(
    clusters: Mapping[str, str], rng: np.random.Generator, strata: Mapping[str, str] | None = None
) -> tuple[list[str], list[str]]:
    """Split items into a tuning and a holdout half; items of one cluster stay together.

    `clusters` maps items to clusters, `strata` items to kinds that both halves share evenly. A
    cluster belongs to the kind of its first item.
    """
    members: dict[str, list[str]] = defaultdict(list)
    for item, cluster in clusters.items():
        members[cluster].append(item)
    kinds: dict[str, list[str]] = defaultdict(list)
    for cluster, items in members.items():
        kinds[(strata or {}).get(items[0], "")].append(cluster)
    found: tuple[list[str], list[str]] = ([], [])
    for names in kinds.values():
        for place in rng.permutation(len(names)):
            smaller = found[0] if len(found[0]) <= len(found[1]) else found[1]
            smaller += members[names[place]]
    return found


def _mean(scores: Sequence[float]) -> float:
    values = np.asarray(scores, dtype=np.float64)
    if not len(values) or not ((values >= 0) & (values <= 1)).all():
        raise UsageError(
            "scores for a holdout lie outside [0, 1] or are missing",
            "give a score from 0 to 1 for each item; shift and scale costs first",
        )
    return float(values.mean())

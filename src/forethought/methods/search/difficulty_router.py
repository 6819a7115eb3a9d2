"""Estimate the difficulty of a question, and use the strategy fitted to it.

Paper: Scaling LLM Test-Time Compute Optimally, arXiv:2408.03314 (compute-optimal scaling)
Published: ours (own name); Paper: five bins by a reward model's scores. Here: bins and strategies
    come from stored answers of `tune`.
Exact: equals the strategy of a plan with one bin, without a probe.
Cost: the plan's probe, a few answers that a vote after it reuses; then the strategy.
    `forethought tune` makes plans from stored answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from forethought import catalogue
from forethought.contracts.errors import BadDataError
from forethought.contracts.plan import DifficultyPlan, read_plan
from forethought.contracts.search import (
    Ability,
    Candidate,
    Found,
    Search,
    Strategy,
    group,
    write,
)
from forethought.methods.search._answers import budget_spent, elected
from forethought.methods.search._reusing import reusing
from forethought.numerics.difficulty import signs
from forethought.numerics.votes import Tally

_LONGEST = 1 << 20  # bytes of a plan


@dataclass(frozen=True)
class DifficultyRouter(Strategy):
    """The strategy of a fitted plan for questions of this difficulty."""

    plan: str
    """File written by `forethought tune`."""
    digest: str = ""
    """Digest of the plan, as printed by `tune`; empty accepts any plan."""

    @property
    def needs(self) -> frozenset[Ability]:
        """The needs of the plan's probe and of its strategies."""
        held = self._plan()
        signs: frozenset[Ability] = frozenset(
            {"log-probabilities"} if held.probe and held.by == "likelihood" else ()
        )
        return signs.union(*(_built(one.strategy).needs for one in held.bins))

    @property
    def scores(self) -> bool:
        """Whether any strategy of the plan needs a scorer."""
        return any(_built(one.strategy).scores for one in self._plan().bins)

    @property
    def follows_up(self) -> bool:
        """Whether any strategy of the plan asks about finished answers."""
        return any(_built(one.strategy).follows_up for one in self._plan().bins)

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Probe, choose a strategy, and run it."""
        held = self._plan()
        if len(held.bins) == 1:
            return (yield from _built(held.bins[0].strategy).search(start, rng))
        probe = yield from write([start] * held.probe)
        groups = yield from group(probe)
        if budget_spent(probe):
            tally = Tally.of(groups, [1.0] * len(probe))
            best = elected(probe, tally, [one.likelihood for one in probe])
            return Found(probe[best], tuple(probe), tally.weights, tally.share)
        agreement, likelihood = signs(groups, [one.likelihood for one in probe])
        place = held.bin_of(agreement, likelihood)
        strategy = held.bins[place].strategy
        found: Found = yield from reusing(_built(strategy).search(start, rng), start, probe)
        note = (
            f"difficulty {place + 1} of {len(held.bins)} by {held.probe} answers (agreement "
            f"{agreement:.2f}, likelihood {likelihood:.2f}): {strategy}; the plan is that of "
            f"{held.model or 'no stated model'}"
        )
        return _with_probe(replace(found, notes=(note, *found.notes)), probe)

    def _plan(self) -> DifficultyPlan:
        path = Path(self.plan).expanduser()
        try:
            with path.open("rb") as file:
                text = file.read(_LONGEST).decode()
        except (OSError, UnicodeDecodeError) as error:
            raise BadDataError(
                f"the plan {self.plan} cannot be read: {error}", "make one: forethought tune"
            ) from error
        found = read_plan(text, self.plan)
        if self.digest and self.digest != found.digest:
            raise BadDataError(
                f"the plan {self.plan} is another one: its digest is {found.digest}, "
                f"not {self.digest}",
                f"ask with digest={found.digest}, or make the plan anew under another name",
            )
        return found


def _built(spelled: str) -> Strategy:
    strategy: Strategy = catalogue.build(spelled, "strategies")
    if isinstance(strategy, DifficultyRouter):
        raise BadDataError(
            f"the plan sends questions on to {spelled}", "name strategies that answer: tune"
        )
    return strategy


def _with_probe(found: Found, probe: Sequence[Candidate]) -> Found:
    """The result, with the unused answers of the probe as pruned."""
    known = {one.identity for one in (*found.considered, *found.pruned)}
    left = tuple(one for one in probe if one.identity not in known)
    return replace(found, pruned=(*found.pruned, *left))

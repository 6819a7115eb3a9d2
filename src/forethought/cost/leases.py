"""What a run may spend, and what it has: nothing begins without a lease that covers it whole.

A lease holds the most that a request can take. What it did not take comes back when it is
settled, so that what is settled and what is leased never exceed the limit together, however
many requests are on their way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from forethought.contracts.backend import CostBound
from forethought.contracts.records import Cost
from forethought.cost.budget import Limit

Amounts = dict[str, float]
"""By field of Limit but seconds, which a clock watches."""
KINDS = {"tokens": "output_tokens", "flops": "flops", "usd": "usd"}
"""Fields of Limit, and the fields of Cost that they limit."""

_SLACK = 0.1
"""Share of a lease by which a charge may exceed it."""


@dataclass
class Leases:
    """Spent and leased, against one limit."""

    limit: Limit
    spent: Cost = field(default_factory=Cost)
    drafted: int = 0
    """Tokens of answers that a draft wrote: they count against a limit of tokens too."""
    leases: dict[str, Amounts] = field(default_factory=dict)
    """By the key of the request that holds it."""
    lost: Cost = field(default_factory=Cost)
    """What servers did in vain or unasked, which nobody knew before: beyond any limit but that of
    dollars, which are paid whatever they were paid for."""
    beyond: float = 0.0
    """US dollars that were charged above the leases: a server counts otherwise than it should."""
    _settled_once: bool = False
    seconds: float = 0.0
    """What was waited for requests; those on their way together are waited for once."""
    _longest: float = 0.0

    def left(self) -> Amounts:
        """What may still be leased, of the kinds that are limited."""
        left = {
            kind: most - self._settled(kind) - sum(one[kind] for one in self.leases.values())
            for kind in KINDS
            if (most := getattr(self.limit, kind)) is not None
        }
        return {**left, "usd": min(0.0, left["usd"])} if self.surprised else left

    @property
    def surprised(self) -> bool:
        """Whether a charge came out above its lease: then no further dollar is spent."""
        return self.limit.usd is not None and self.beyond > 0

    @property
    def careful(self) -> bool:
        """Whether one request goes first: what it is charged tells whether leases hold."""
        return self.limit.usd is not None and not self._settled_once

    def spare(self, count: int) -> float | None:
        """US dollars that each of so many may lose beside its lease; None without a limit."""
        left = self.left().get("usd")
        return None if left is None else max(0.0, left) / max(1, count)

    def shares(self, bounds: Sequence[CostBound], wanted: Sequence[int]) -> list[int]:
        """Tokens for each of several requests that begin at once; 0 for those left out.

        Each gets what it wants where all can have it. Else they get as nearly the same as
        whole tokens allow, the earlier ones more, and what some do not want goes to others.
        """
        granted = list(wanted)
        for kind, amount in self.left().items():
            once = [_paid(bound.once, kind) for bound in bounds]
            each = [_each(bound, kind) for bound in bounds]
            granted = _fair(granted, once, each, amount)
        return granted

    def covers(self, bound: CostBound) -> bool:
        """Whether a request that writes nothing can be paid."""
        return all(_paid(bound.once, kind) <= amount for kind, amount in self.left().items())

    def lease(self, key: str, bound: CostBound, tokens: int) -> None:
        """Set aside what a request may take at most."""
        amounts = {kind: _most(bound, kind, tokens) for kind in KINDS}
        for kind, amount in self.left().items():
            assert amounts[kind] <= amount * (1 + 1e-9), f"{key}: {kind} beyond the limit"
        self.leases[key] = amounts

    def settle(self, key: str, cost: Cost, drafted: int = 0, seconds: float = 0.0) -> None:
        """Give back the lease of a request, and charge what it took."""
        if (lease := self.leases.pop(key, None)) is not None:
            self._settled_once = True
            excess = _paid(cost, "usd") - lease["usd"]
            # A template may hold the time of day, and so a token more than before.
            self.beyond += excess if excess > _SLACK * lease["usd"] else 0.0
        self._longest = max(self._longest, seconds)
        if not self.leases:
            self.seconds, self._longest = self.seconds + self._longest, 0.0
        self.spent = self.spent.plus(cost)
        self.drafted += drafted

    def _settled(self, kind: str) -> float:
        lost = _paid(self.lost, kind) if kind == "usd" else 0.0
        return _paid(self.spent, kind) + lost + (self.drafted if kind == "tokens" else 0)


def _paid(cost: Cost, kind: str) -> float:
    return float(getattr(cost, KINDS[kind]) or 0.0)


def _most(bound: CostBound, kind: str, tokens: int) -> float:
    return _paid(bound.once, kind) + tokens * _each(bound, kind)


def _each(bound: CostBound, kind: str) -> float:
    """What a token takes that is written, by whichever model."""
    return _paid(bound.token, kind) + (bound.token.draft_tokens if kind == "tokens" else 0)


def _fair(
    wanted: Sequence[int], once: Sequence[float], each: Sequence[float], amount: float
) -> list[int]:
    """Token counts whose cost stays within `amount`; later requests are left out first."""
    alive = [place for place, tokens in enumerate(wanted) if tokens]
    least = accumulate(once[p] + each[p] for p in alive)
    alive = alive[: sum(total <= amount for total in least)]
    granted = [0] * len(wanted)
    left = amount - sum(once[p] for p in alive)
    for rank, place in enumerate(sorted(alive, key=lambda p: wanted[p])):
        # Those who want least are served first: what they leave is shared by the others.
        share = left / (len(alive) - rank)
        most = int(share / each[place] * (1 + 1e-12)) if each[place] else wanted[place]
        granted[place] = min(wanted[place], most)
        left -= granted[place] * each[place]
    for place in alive:  # what rounding left over
        more = int(left / each[place]) if each[place] else 0
        extra = min(wanted[place] - granted[place], min(more, 1))
        granted[place] += extra
        left -= extra * each[place]
    return granted

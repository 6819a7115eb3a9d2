"""Leases: no request starts without a lease on its maximum cost.

Settling a request charges its actual cost and returns the rest of its lease. Settled and leased
amounts together never exceed the limit, for any number of concurrent requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

from forethought.contracts.backend import CostBound
from forethought.contracts.records import Cost
from forethought.cost.budget import Limit

Amounts = dict[str, float]
"""Amounts by field of Limit, except seconds, which a clock enforces."""
KINDS = {"tokens": "output_tokens", "flops": "flops", "usd": "usd"}
"""Fields of Limit, and the field of Cost that each limits."""

_SLACK = 0.1
"""Tolerated excess of a charge, as a share of its lease."""
_ROOM = 0.25
"""The share of its bound by which a prefill may exceed it."""


@dataclass
class Leases:
    """Spent and leased amounts under one limit."""

    limit: Limit
    spent: Cost = field(default_factory=Cost)
    drafted: int = 0
    """Answer tokens decoded by the draft; they count against a token limit too."""
    leases: dict[str, Amounts] = field(default_factory=dict)
    """Leases by request key."""
    lost: Cost = field(default_factory=Cost)
    """Cost of failed or unrequested work by servers. Only a dollar limit counts it, since dollars
    are paid in any case."""
    beyond: float = 0.0
    """US dollars charged above leases, because a server counts tokens differently."""
    _settled_once: bool = False
    seconds: float = 0.0
    """Time spent on requests; concurrent requests count once."""
    _longest: float = 0.0

    def left(self) -> Amounts:
        """The amounts still available to lease, by limited kind."""
        left = {
            kind: most - self._settled(kind) - sum(one[kind] for one in self.leases.values())
            for kind in KINDS
            if (most := getattr(self.limit, kind)) is not None
        }
        return {**left, "usd": min(0.0, left["usd"])} if self.surprised else left

    @property
    def surprised(self) -> bool:
        """Whether a charge exceeded its lease; no further dollars are then spent."""
        return self.limit.usd is not None and self.beyond > 0

    @property
    def careful(self) -> bool:
        """Whether a first request must settle alone, to check its charge against its lease."""
        return self.limit.usd is not None and not self._settled_once

    def spare(self, count: int) -> float | None:
        """US dollars per request, of `count`, for losses beyond its lease; None without a limit."""
        left = self.left().get("usd")
        return None if left is None else max(0.0, left) / max(1, count)

    def shares(self, bounds: Sequence[CostBound], wanted: Sequence[int]) -> list[int]:
        """Tokens for each of several concurrent requests; 0 leaves a request out.

        If the budget covers all, each gets what it wants. Otherwise shares are as equal as whole
        tokens allow, earlier requests first; unwanted tokens go to the others.
        """
        granted = list(wanted)
        for kind, amount in self.left().items():
            once = [_paid(bound.once, kind) for bound in bounds]
            each = [_each(bound, kind) for bound in bounds]
            granted = _fair(granted, once, each, amount)
        return granted

    def covers(self, bound: CostBound) -> bool:
        """Whether the budget covers a request without output."""
        return all(_paid(bound.once, kind) <= amount for kind, amount in self.left().items())

    def capped(self, bounds: Sequence[CostBound], granted: Sequence[int]) -> CostBound | None:
        """The bound of the first request for one token, whose prefill ends where the FLOPs end.

        The first token costs no FLOPs beyond the fixed part. None if all requests have room, since
        a fixed part may exceed its bound, or if the budget cannot cover even this.
        """
        left, bound = self.left().get("flops"), bounds[0]
        if left is None or bound.least is None:
            return None
        pairs = [pair for pair in zip(bounds, granted, strict=True) if pair[1]]
        leased = sum(_most(one, "flops", tokens) for one, tokens in pairs)
        if pairs and left - leased >= _ROOM * bound.once.flops:
            return None
        once, token = replace(bound.once, flops=left), replace(bound.token, flops=0.0)
        found = CostBound(once, token, bound.least)
        possible = bound.least.flops <= left and self.shares([found], [1]) == [1]
        return found if possible else None

    def lease(self, key: str, bound: CostBound, tokens: int) -> None:
        """Lease the maximum cost of a request."""
        amounts = {kind: _most(bound, kind, tokens) for kind in KINDS}
        for kind, amount in self.left().items():
            assert amounts[kind] <= amount * (1 + 1e-9), f"{key}: {kind} beyond the limit"
        self.leases[key] = amounts

    def settle(self, key: str, cost: Cost, drafted: int = 0, seconds: float = 0.0) -> None:
        """Return the lease of a request, and charge its cost."""
        if (lease := self.leases.pop(key, None)) is not None:
            self._settled_once = True
            excess = _paid(cost, "usd") - lease["usd"]
            # A template may hold the time of day, so prompts may differ by a token.
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
    """The cost of one output token, of the target or the draft."""
    return _paid(bound.token, kind) + (bound.token.draft_tokens if kind == "tokens" else 0)


def _fair(
    wanted: Sequence[int], once: Sequence[float], each: Sequence[float], amount: float
) -> list[int]:
    """Token counts whose cost is within `amount`; later requests are dropped first."""
    alive = [place for place, tokens in enumerate(wanted) if tokens]
    least = accumulate(once[p] + each[p] for p in alive)
    alive = alive[: sum(total <= amount for total in least)]
    granted = [0] * len(wanted)
    left = amount - sum(once[p] for p in alive)
    for rank, place in enumerate(sorted(alive, key=lambda p: wanted[p])):
        # Requests that want least are served first; the others share the rest.
        share = left / (len(alive) - rank)
        most = int(share / each[place] * (1 + 1e-12)) if each[place] else wanted[place]
        granted[place] = min(wanted[place], most)
        left -= granted[place] * each[place]
    for place in alive:  # distribute the rounding remainder
        more = int(left / each[place]) if each[place] else 0
        extra = min(wanted[place] - granted[place], min(more, 1))
        granted[place] += extra
        left -= extra * each[place]
    return granted

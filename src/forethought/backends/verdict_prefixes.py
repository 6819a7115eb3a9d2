"""Which of the questions that a run had judged another one goes on from."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field

Chain = tuple[str, ...]
"""Questions of which each goes on from the one before it; the first was read whole."""
LEAST = 32
"""Characters that must be saved for a question to go on from another one than that does."""


@dataclass
class VerdictPrefixes:
    """The questions that were judged, each with those it went on from.

    What stands here follows from the run's questions in their order alone: so a run that was
    stopped goes on from the same ones, and reads and pays the same.
    """

    chains: dict[str, Chain] = field(default_factory=dict)
    """By question."""
    _sorted: list[str] = field(default_factory=list)

    def copy(self) -> VerdictPrefixes:
        """The same, for more to be added without these knowing."""
        return VerdictPrefixes(dict(self.chains), list(self._sorted))

    def add(self, question: str) -> Chain:
        """Add a question; what it goes on from, itself where it was judged before."""
        chain = self._chain_to(question)
        if question not in self.chains:
            self.chains[question] = chain
            bisect.insort(self._sorted, question)
        return chain

    def _chain_to(self, question: str) -> Chain:
        """What has most of its beginning in common with a question, and what that goes on from.

        Of those that share nearly as much, it is the one that was read first.
        """
        if not self.chains:
            return ()
        nearest = self._nearest(question)
        chain = (*self.chains[nearest], nearest)
        saved = common_prefix(nearest, question)
        while len(chain) > 1 and (less := common_prefix(chain[-2], question)) + LEAST > saved:
            chain, saved = chain[:-1], less
        return chain

    def _nearest(self, question: str) -> str:
        # In order, no text has more in common with another than its neighbours have.
        place = bisect.bisect(self._sorted, question)
        around = self._sorted[max(0, place - 1) : place + 1]
        return max(around, key=lambda one: common_prefix(one, question))


def common_prefix(one: Sequence[object], other: Sequence[object]) -> int:
    """How many characters, or tokens, both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))

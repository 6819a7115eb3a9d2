"""Finds the longest prompt already judged that is a prefix of a new one."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field

Chain = tuple[str, ...]
"""Judged prompts, each a prefix of the next one; the first is prefilled from its start."""
LEAST = 32
"""Characters that a longer prefix must save, or the older one is used."""


@dataclass
class VerdictPrefixes:
    """The questions that a run has judged, each with its chain of prefixes.

    The chains depend only on the order of the run's questions. So a resumed run prefills the same
    tokens and pays the same.
    """

    chains: dict[str, Chain] = field(default_factory=dict)
    """By question."""
    _sorted: list[str] = field(default_factory=list)

    def copy(self) -> VerdictPrefixes:
        """An independent copy."""
        return VerdictPrefixes(dict(self.chains), list(self._sorted))

    def add(self, question: str) -> Chain:
        """Add a question; returns its chain of prefixes, which ends in itself if already judged."""
        chain = self._chain_to(question)
        if question not in self.chains:
            self.chains[question] = chain
            bisect.insort(self._sorted, question)
        return chain

    def _chain_to(self, question: str) -> Chain:
        """The judged question with the longest common prefix, after its own chain.

        If several share nearly as much, the oldest of them.
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
        # In sorted order, a neighbour has the longest common prefix.
        place = bisect.bisect(self._sorted, question)
        around = self._sorted[max(0, place - 1) : place + 1]
        return max(around, key=lambda one: common_prefix(one, question))


def common_prefix(one: Sequence[object], other: Sequence[object]) -> int:
    """Length of the longest common prefix, in characters or tokens."""
    same, most = 0, min(len(one), len(other))
    while same < most:  # the first `same` elements are equal, and the next `step` may be
        step = (most - same + 1) // 2
        if one[same : same + step] == other[same : same + step]:
            same += step
        else:
            most = same + step - 1
    return same

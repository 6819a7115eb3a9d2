"""Verification of drafted tokens: one pass computes the logits behind every token of a tree.

The sequence then takes its tokens one by one from these logits, with the controls and the random
number of each position, as if there were no draft. While the token that it takes is drafted, the
entry and the logits of that token are known already and need no pass. So the answer has the law of
plain decoding, and the tokens of a seed: the draft is a point mass, accepted with the probability
that the target gives it, and a token that is not drafted comes from the rest of that law.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from forethought.contracts.drafts import ROOT, DraftTree
from forethought.engine.cache.sequence_cache import SequenceCache


class VerifiedDraft:
    """A tree with the logits behind its tokens, and their entries behind the end of a cache."""

    def __init__(
        self, tree: DraftTree, logits: Tensor, states: Tensor | None, cache: SequenceCache
    ) -> None:
        """Take the tree's entries out of the cache, which keeps that of the newest token.

        `logits` [1 + N, V] and `states` [1 + N, hidden] begin with those behind the newest token.
        """
        cache.retract(len(tree))
        self.tree = tree
        self._logits, self._states = logits, states
        self._at = ROOT
        """The place of the newest token."""
        self._entered = 0
        self._remember(cache)

    def follow(self, token: int) -> bool:
        """Follow a token that the sequence takes; False if it is not drafted."""
        found = self.tree.child(self._at, token)
        self._at = ROOT if found is None else found
        return found is not None

    def lies_in(self, cache: SequenceCache) -> bool:
        """Whether the cache still has the entries behind its end."""
        return self._tail is cache.tail and self._places == _places(cache)

    def enter(self, cache: SequenceCache) -> tuple[Tensor, Tensor | None]:
        """Put the newest token's entry into the cache; the logits [V] and the state behind it."""
        cache.restore(self._at - self._entered)
        if cache.query_window is not None:
            cache.query_window.enter(self._at)
        self._entered += 1
        self._remember(cache)
        row = self._at + 1
        return self._logits[row], None if self._states is None else self._states[row]

    def _remember(self, cache: SequenceCache) -> None:
        self._tail, self._places = cache.tail, _places(cache)


def _places(cache: SequenceCache) -> Sequence[object]:
    """Where the entries of a cache's tail lie, and how many there are."""
    return [
        (part.block.place, part.block.length)
        for entries in cache.tail.layers
        for part in entries.parts()
    ]

"""Sparse decoding that the full model corrects.

The sparse network decodes tokens into the sequence's own cache, which then drops their entries. One
pass of the full network over the same tokens writes exact entries and gives the logits behind each.
The sequence takes a token of the sparse network if the full one finds it likely enough, and its
own choice at the first other token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from forethought.contracts.drafts import NO_DRAFT, DraftTree, TokenDrafter
from forethought.contracts.neurons import CorrectionRule
from forethought.contracts.roles import Network
from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.drafting import Drafting
from forethought.engine.meter import Meter
from forethought.engine.new_tokens import NewTokens
from forethought.engine.row_costs import DraftCost
from forethought.engine.sampling import SamplingParams, choose


@dataclass
class SparseWriter(TokenDrafter):
    """Decodes with the sparse network behind the end of a sequence's cache."""

    network: Callable[[], Network]
    """The sparse network; known once the prompt is prefilled."""
    meter: Meter
    sampling: SamplingParams
    stream: int
    ends: frozenset[int]
    """End tokens; only the full network ends an answer."""
    cache: SequenceCache | None = None
    passes: int = 0
    """Decode passes so far."""

    def draft(self, tokens: Sequence[int], most: int) -> DraftTree:
        """A chain of at most `most` tokens behind the newest one, which has no entry."""
        cache, start = self.cache, self.passes
        assert cache is not None, "the sequence has begun"
        # A later eviction reads no queries of the sparse network.
        window, cache.query_window = cache.query_window, None
        found: list[int] = []
        while len(found) < most:
            token = self._next(cache, [*tokens, *found])
            if token in self.ends:
                break
            found.append(token)
        cache.drop_newest(self.passes - start)
        cache.query_window = window
        self.meter.count("draft", len(found))
        return DraftTree.chain(found)

    def _next(self, cache: SequenceCache, tokens: Sequence[int]) -> int:
        """The token behind the newest one, by the random number of its place."""
        batch = Batch(self.network(), self.meter)
        logits = batch.forward([NewTokens(cache, tokens[-1:])], phase="decode")[-1]
        self.passes += 1
        return choose(logits, self.sampling, self.stream, len(tokens)).token


@dataclass(eq=False, kw_only=True)
class Correction(Drafting):
    """The sparse tokens of one sequence, and the rule by which it takes them."""

    writer: SparseWriter
    rule: CorrectionRule
    _taken: int | None = None
    """The sparse token that is likely enough to come next."""

    def open(self, network: Network, cache: SequenceCache) -> None:
        """Begin behind a prefilled prompt."""
        super().open(network, cache)
        self.writer.cache = cache

    @property
    def sparse_passes(self) -> int:
        """Decode passes of the sparse network."""
        return self.writer.passes

    def draft(self, tokens: Sequence[int], most: int, cost: DraftCost) -> DraftTree:
        """The sparse tokens of the next check: as many as the kernel takes."""
        self.begin(self.writer.draft(tokens, min(most, self.rule.kernel - 1)))
        return self.proposed

    def accepted(self, law: Callable[[], Tensor]) -> int | None:
        """The sparse token that comes next, if it is likely enough."""
        self._taken, token = None, self.following
        if token is not None:
            chance = (law().float() / self.rule.temperature).softmax(-1)[token]
            self._taken = token if float(chance) >= self.rule.threshold else None
        return self._taken

    def goes_on(self, token: int) -> bool:
        """Whether a token was taken of the sparse ones; the others fall with the first rejection.

        They fall too where the full network chooses the token that it has rejected.
        """
        taken, self._taken = self._taken == token, None
        super().goes_on(token)
        if not taken:
            self.begin(NO_DRAFT)
        return taken

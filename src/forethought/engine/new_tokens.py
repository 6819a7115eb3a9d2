"""What a forward pass gets: new tokens of sequences, and the hook that sees its layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from forethought.contracts.drafts import NO_DRAFT, DraftTree
from forethought.contracts.roles import LayerView, SparseOutput, Tap
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Meter


@dataclass(frozen=True)
class NewTokens:
    """New tokens of one sequence."""

    cache: SequenceCache
    tokens: Sequence[int]
    positions: Sequence[int] = ()
    """Their position ids; consecutive if empty."""
    meter: Meter | None = None
    """The meter to charge; None for the batch's own."""
    hidden_tail: int = 0
    """Newest tokens that the logits do not follow: logits come after the token before them."""

    logits_at: Sequence[int] = ()
    """Places among the tokens whose logits are asked for; empty for the last one alone."""
    tree: DraftTree = NO_DRAFT
    """The tree of all tokens but the first, in a decode pass; all tokens get logits."""

    @classmethod
    def drafted(
        cls, cache: SequenceCache, newest: int, tree: DraftTree, meter: Meter | None = None
    ) -> NewTokens:
        """The newest token of a sequence, and the tokens that are drafted behind it."""
        depths = (0, *map(len, tree.paths)) if not tree.is_chain else ()
        return cls(
            cache,
            (newest, *tree.tokens),
            tuple(cache.next + depth for depth in depths),
            meter,
            logits_at=range(1 + len(tree)),
            tree=tree,
        )

    @property
    def rows(self) -> Sequence[int]:
        """The places among the tokens that get a row of logits."""
        return self.logits_at or (len(self.tokens) - 1 - self.hidden_tail,)

    def place(self) -> Sequence[int]:
        """Take positions for the tokens in the cache, and return them."""
        if not self.positions:
            return self.cache.advance(len(self.tokens))
        self.cache.place(self.positions)
        return self.positions


@dataclass(frozen=True)
class LayerHook:
    """A tap for each layer of a prefill or decode pass, and the extent of the prompt."""

    tap: Tap
    prompt_length: int
    protected: frozenset[int] = frozenset()
    attend: Callable[[LayerView], SparseOutput | None] | None = None
    """Computes a layer's attention over keys of its choice; None for dense attention."""
    hidden_tail: int = 0
    """Newest tokens that the tap does not see."""

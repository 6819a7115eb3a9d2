"""Draft with the look-ahead that the draft wrote to score the prompt; one pass verifies its tokens.

Paper: SpecKV and SpecPC, arXiv:2506.08373, whose drafts write the look-ahead
Published: ours (own name); Paper: the look-ahead only scores the prompt. Here: the target also
    verifies it as a draft of the answer.
Exact: at every setting; the target verifies each drafted token, so no answer changes.
Cost: none for the draft, which another method has run; each decode pass has further rows, as long
    as these pay.
Example: forethought "Who signed it?" -f contract.txt -m qwen-coder-1.5b -d qwen-coder-0.5b
    -x draft-lookahead -x speckv
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from forethought.contracts.drafts import NO_DRAFT, DraftSource, DraftTree, TokenDrafter
from forethought.contracts.parameters import Count
from forethought.contracts.roles import Approximation, Drafter
from forethought.methods.drafting._lookup import PredictedLookup


@dataclass(frozen=True)
class DraftLookaheadTokens(Drafter):
    """Copies from the look-ahead of another method."""

    tokens: Count = 16
    """Most tokens of a draft."""
    match: Count = 2
    """Fewest newest tokens that must match; at the start of the answer, none need to."""

    def draft_lacks(
        self, draft: str, applied: Sequence[Approximation], *, layers: int, predicted: bool
    ) -> str:
        """A method whose draft looks ahead."""
        ahead = any(one.uses_draft() and one.lookahead_tokens(2) > 0 for one in applied)
        return "" if ahead else "no other method looks ahead with a draft, as speckv does"

    def drafter(self, source: DraftSource) -> TokenDrafter:
        """The lookup in the look-ahead, which is written before the answer begins."""
        return _Lookahead(source, self.tokens, self.match)


class _Lookahead(TokenDrafter):
    """Copies from what the draft has written by the answer's first token."""

    def __init__(self, source: DraftSource, tokens: int, match: int) -> None:
        self._source, self._settings = source, (tokens, match)
        self._lookup: PredictedLookup | None = None

    def draft(self, tokens: Sequence[int], most: int) -> DraftTree:
        """The tokens behind the longest match of the newest ones."""
        if self._lookup is None:
            source = self._source
            if not source.lookahead:
                return NO_DRAFT
            self._lookup = PredictedLookup(source.lookahead, source.ends, *self._settings)
        return self._lookup.draft(tokens, most)

"""Draft the tokens after the longest earlier match of the newest ones, in prompt or answer.

Paper: prompt lookup decoding, Apoorv Saxena 2023 (github.com/apoorvumang/prompt-lookup-decoding)
Published: ours (general name); Code: the first match of the newest 3, 2 or 1 tokens. Here: the
    longest match, and of equally long ones the newest.
Exact: at every setting; the target verifies each drafted token, so no answer changes.
Cost: a dictionary of the text; each decode pass has further rows, as long as these pay.
"""

from __future__ import annotations

from dataclasses import dataclass

from forethought.contracts.drafts import DraftSource, TokenDrafter
from forethought.contracts.parameters import Count
from forethought.contracts.roles import Drafter
from forethought.methods.drafting._lookup import TextLookup


@dataclass(frozen=True)
class PromptLookup(Drafter):
    """Copies from the text so far."""

    tokens: Count = 10
    """Most tokens of a draft."""
    match: Count = 1
    """Fewest newest tokens that must match."""

    def drafter(self, source: DraftSource) -> TokenDrafter:
        """The lookup in the text of one sequence."""
        return TextLookup(source.prompt, source.ends, self.tokens, self.match)

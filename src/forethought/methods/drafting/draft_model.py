"""Draft by a smaller model, which decodes some tokens; one pass of the target verifies them.

Paper: speculative decoding, arXiv:2211.17192; speculative sampling, arXiv:2302.01318
Published: ours (general name); Paper: a drafted token is accepted with probability p/q, and a
    rejected one is replaced from the rest of p - q. Here: both models draw with the random number
    of the position, and a token is accepted if the draws agree; so the seed's answer is that of
    plain decoding, and fewer tokens are accepted when sampling.
Exact: at every setting; the target verifies each drafted token, so no answer changes.
Cost: the draft's prefill of the prompt, and its decode steps; each decode pass has further rows, as
    long as both pay. A draft with another tokenizer drafts text.
"""

from __future__ import annotations

from dataclasses import dataclass

from forethought.contracts.drafts import DraftSource, TokenDrafter
from forethought.contracts.parameters import DraftLength, Share
from forethought.contracts.roles import Drafter
from forethought.methods.drafting._writing import Written


@dataclass(frozen=True)
class DraftModel(Drafter):
    """The model of -d writes drafts."""

    tokens: DraftLength = 8
    """Most tokens of a draft."""
    chance: Share = 0.4
    """A draft ends after a token whose probability is lower."""

    def uses_draft(self) -> bool:
        """True."""
        return True

    def drafter(self, source: DraftSource) -> TokenDrafter:
        """The draft behind one sequence."""
        return Written(source.writer(), self.tokens, self.chance)

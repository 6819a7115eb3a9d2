"""Draft from the answer that the client expects: the field `prediction` of the OpenAI API.

Paper: Predicted Outputs, OpenAI 2024 (the API)
Published: ours (general name); the API documents the field, not how it is used. Here: the draft is
    what follows the longest match of the newest tokens in the predicted text.
Exact: at every setting; the target verifies each drafted token, so no answer changes.
Cost: a dictionary of the predicted text; each decode pass has further rows, as long as these pay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from forethought.contracts.drafts import DraftSource, TokenDrafter
from forethought.contracts.parameters import Count
from forethought.contracts.roles import Approximation, Drafter
from forethought.methods.drafting._lookup import PredictedLookup


@dataclass(frozen=True)
class PredictedAnswer(Drafter):
    """Copies from the predicted answer."""

    tokens: Count = 16
    """Most tokens of a draft."""
    match: Count = 2
    """Fewest newest tokens that must match; at the start of the answer, none need to."""

    def draft_lacks(
        self, draft: str, applied: Sequence[Approximation], *, layers: int, predicted: bool
    ) -> str:
        """A predicted answer."""
        return "" if predicted else "no answer is predicted; a chat request of a server may"

    def drafter(self, source: DraftSource) -> TokenDrafter | None:
        """The lookup in the predicted text; None if the client predicts none."""
        if not source.predicted:
            return None
        return PredictedLookup(source.predicted, source.ends, self.tokens, self.match)

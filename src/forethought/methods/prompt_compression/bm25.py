"""Keep the document's sentences that share the question's words, by Okapi BM25.

Paper: Okapi at TREC-3, Robertson et al., 1994; a usual baseline of prompt compression
Exact: when keep reaches the prompt's length; sentences in other words than the question's go.
Cost: the target reads at most keep tokens; no model is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from forethought.contracts.parameters import Range, Share
from forethought.contracts.records import Prompt
from forethought.contracts.roles import Draft
from forethought.methods.prompt_compression._retrieval import retrieved
from forethought.methods.prompt_compression._shortening import Shortening
from forethought.numerics.bm25 import bm25


@dataclass(frozen=True)
class BM25(Shortening):
    """Keeps whole sentences, the best match first, until the budget is full."""

    k1: Annotated[float, Range(0, 100)] = 1.2
    """How much a word's repetition in a sentence adds; at 0 nothing."""
    b: Share = 0.75
    """How much long sentences are held back; at 0 not at all."""

    def on_prompt(self, prompt: Prompt, draft: Draft, answer_tokens: int) -> Prompt:
        """The prompt of the sentences that match best."""
        if not self.pays(len(prompt)):
            return prompt
        return retrieved(prompt, self.room(prompt), self.name, self._scores)

    def _scores(self, question: str, texts: Sequence[str]) -> np.ndarray:
        return bm25(question, texts, self.k1, self.b)

"""Keep the document's sentences that match the question's words, by Okapi BM25.

Paper: Okapi at TREC-3, Robertson et al., 1994; a usual baseline of prompt compression
Published: baseline
Exact: when keep reaches the prompt's length. Sentences that paraphrase the question are lost.
Cost: the target prefills at most keep tokens; no other model runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from forethought.contracts.parameters import Range, Share
from forethought.contracts.records import Prompt
from forethought.contracts.roles import Draft
from forethought.methods.prompt_compression._retrieval import retrieved
from forethought.methods.prompt_compression._shortening import Shortening
from forethought.models.hardware.sliced_task import aside
from forethought.numerics.bm25 import bm25
from forethought.numerics.late_imports import np


@dataclass(frozen=True)
class BM25(Shortening):
    """Keeps whole sentences, best match first, until the budget is full."""

    k1: Annotated[float, Range(0, 100)] = 1.2
    """Weight of repeated words in a sentence; 0 ignores repetition."""
    b: Share = 0.75
    """Penalty of long sentences; 0 for none."""

    def uncounted(self) -> str:
        """The rest of the budget."""
        return "whole sentences stay, so the target may prefill fewer tokens than keep"

    def on_prompt(self, prompt: Prompt, draft: Draft, answer_tokens: int) -> Prompt:
        """The prompt of the best sentences."""
        if not self.pays(len(prompt)):
            return prompt
        return aside(len(prompt), lambda: self._retrieved(prompt))

    def _retrieved(self, prompt: Prompt) -> Prompt:
        return retrieved(prompt, self.room(prompt), self.name, self._scores)

    def _scores(self, question: str, texts: Sequence[str]) -> np.ndarray:
        return bm25(question, texts, self.k1, self.b)

"""Keep the document's sentences that mean most nearly what the question does.

Paper: Sentence-BERT, arXiv:1908.10084; a usual baseline of prompt compression
Exact: when keep reaches the prompt's length; sentences whose part in the answer does not show
    in their own words go.
Cost: a small encoder reads every sentence; the target reads at most keep tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from forethought.contracts.records import Prompt
from forethought.contracts.roles import Draft
from forethought.methods.prompt_compression._retrieval import retrieved
from forethought.methods.prompt_compression._shortening import Shortening


@dataclass(frozen=True)
class Embedding(Shortening):
    """Keeps whole sentences, those nearest to the question first, until the budget is full."""

    encoder: str = "all-minilm-l6-v2"
    """The sentence encoder: all-minilm-l6-v2, a folder of safetensors, or a hub's owner/name."""

    def on_prompt(self, prompt: Prompt, draft: Draft, answer_tokens: int) -> Prompt:
        """The prompt of the sentences nearest to the question."""
        if not self.pays(len(prompt)):
            return prompt
        nearness = partial(self._nearness, draft)
        return retrieved(prompt, self.room(prompt), self.name, nearness)

    def _nearness(self, draft: Draft, question: str, texts: Sequence[str]) -> np.ndarray:
        # Here, since it loads torch, which no one needs who asks for less.
        from forethought.models.encoders.sentence_encoder import open_sentence_encoder

        found = open_sentence_encoder(self.encoder).embed([question, *texts])
        draft.charge(tokens=found.tokens, flops=found.flops)
        scores: np.ndarray = found.vectors[1:] @ found.vectors[0]
        return scores

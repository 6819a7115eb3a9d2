"""Keep the document's sentences that are closest in meaning to the question.

Paper: Sentence-BERT, arXiv:1908.10084; a usual baseline of prompt compression
Published: baseline
Exact: when keep reaches the prompt's length. Sentences that matter only together with others are
    lost.
Cost: a small encoder reads every sentence; the target prefills at most keep tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from forethought.contracts.records import Prompt
from forethought.contracts.roles import Draft
from forethought.methods.prompt_compression._retrieval import retrieved
from forethought.methods.prompt_compression._shortening import Shortening
from forethought.numerics.late_imports import np


@dataclass(frozen=True)
class Embedding(Shortening):
    """Keeps whole sentences, nearest to the question first, until the budget is full."""

    encoder: str = "all-minilm-l6-v2"
    """Sentence encoder: all-minilm-l6-v2, a folder of safetensors, or owner/name on the hub."""

    def uncounted(self) -> str:
        """The encoder, and the rest of the budget."""
        return "the sentence encoder is not counted, and whole sentences stay"

    def on_prompt(self, prompt: Prompt, draft: Draft, answer_tokens: int) -> Prompt:
        """The prompt of the sentences nearest to the question."""
        if not self.pays(len(prompt)):
            return prompt
        nearness = partial(self._nearness, draft)
        return retrieved(prompt, self.room(prompt), self.name, nearness)

    def _nearness(self, draft: Draft, question: str, texts: Sequence[str]) -> np.ndarray:
        # Imported here because it loads torch, which prompts within the budget do not need.
        from forethought.models.encoders.sentence_encoder import open_sentence_encoder

        found = open_sentence_encoder(self.encoder).embed([question, *texts])
        draft.charge(tokens=found.tokens, flops=found.flops)
        scores: np.ndarray = found.vectors[1:] @ found.vectors[0]
        return scores

"""Keep the document's sentences that mean in context what the question asks.

Paper: Context-aware Prompt Compression (CPC), arXiv:2409.01227 (AAAI 2025)
Published: ours; Workday/cpc with its 1B encoder. Code: has a sentence splitter of its own. Here:
    sentences end where `bm25` and `embedding` end them. The target length is the largest whose
    choice fits keep, in tokens of the target.
Exact: when keep reaches the prompt's length. Below it, the answer cannot see dropped sentences.
Cost: a model of 1B parameters reads the document once; the target prefills at most keep tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forethought.contracts.parameters import Count
from forethought.contracts.records import Prompt
from forethought.contracts.roles import Draft
from forethought.cost.flops import forward_flops
from forethought.methods.prompt_compression._retrieval import question_of, sentences_of
from forethought.methods.prompt_compression._shortening import Shortening
from forethought.models.hardware.sliced_task import aside
from forethought.numerics.late_imports import np

if TYPE_CHECKING:
    from forethought.models.encoders.context_encoder import ContextEncoder


@dataclass(frozen=True)
class CPC(Shortening):
    """Keeps whole sentences by the cosine of their embedding in context and the question's."""

    encoder: str = "deadcode99/cpc-1.0-llama-1b-ds-v5-iter66-lora-bidirectional-attn"
    """Encoder: a folder of safetensors, or owner/name on the hub; a model, or a LoRA adapter."""
    window: Count = 6144
    """Most encoder tokens read at once; a longer document is read in parts of similar length."""

    def uncounted(self) -> str:
        """The encoder, and the rest of the budget."""
        return "the sentence encoder is not counted, and whole sentences stay"

    def on_prompt(self, prompt: Prompt, draft: Draft, answer_tokens: int) -> Prompt:
        """The prompt of the best sentences, in text order."""
        if not self.pays(len(prompt)):
            return prompt
        room, question = self.room(prompt), question_of(prompt, self.name)
        found = aside(len(prompt), lambda: sentences_of(prompt, room))
        # Imported here because it loads torch, which prompts within the budget do not need.
        from forethought.models.encoders.context_encoder import open_context_encoder

        encoder = open_context_encoder(self.encoder)
        scores = self._scores(encoder, draft, question, [one.text for one in found])
        chosen: list[int] = []
        for rank in np.argsort(-scores, kind="stable"):
            if len(chosen) + len(found[rank].tokens) > room.count:
                break
            chosen += found[rank].tokens
        return prompt.keep(room.kept(chosen))

    def _scores(
        self, encoder: ContextEncoder, draft: Draft, question: str, texts: Sequence[str]
    ) -> np.ndarray:
        """The cosine of each sentence; -inf for one beyond the window of its part."""
        asked = encoder.tokens(question)
        (target,) = encoder.embed([asked])
        read = [encoder.tokens(text) for text in texts]
        scores, lengths, start = np.full(len(texts), -np.inf), [len(asked)], 0
        for part in self._parts(encoder, texts, [len(tokens) for tokens in read]):
            inside = _within(read[start : start + part], self.window)
            scores[start : start + len(inside)] = encoder.embed(inside) @ target
            lengths.append(sum(map(len, inside)))
            start += part
        draft.charge(tokens=sum(lengths), flops=sum(_flops(encoder, one) for one in lengths))
        return scores

    def _parts(
        self, encoder: ContextEncoder, texts: Sequence[str], lengths: Sequence[int]
    ) -> Iterator[int]:
        """Sentences of each part: as few parts as fit by count, then cut at equal length."""
        count = 1
        while count < len(texts) and not self._fits(encoder, texts, -(-len(texts) // count)):
            count += 1
        aim, size, length = len(encoder.tokens(" ".join(texts))) / count, 0, -1
        for own in lengths:
            size, length = size + 1, length + own + 1
            if length >= aim:
                yield size
                size, length = 0, -1
        if size:
            yield size

    def _fits(self, encoder: ContextEncoder, texts: Sequence[str], each: int) -> bool:
        parts = (" ".join(texts[start : start + each]) for start in range(0, len(texts), each))
        return all(len(encoder.tokens(part)) <= self.window for part in parts)


def _flops(encoder: ContextEncoder, tokens: int) -> float:
    """FLOPs of one text in which every token attends to all."""
    pairs = [float(tokens * tokens)] * len(encoder.shape.layers)
    return forward_flops(encoder.shape, tokens, pairs, logits=0)


def _within(texts: Sequence[list[int]], most: int) -> list[list[int]]:
    """The first texts of at most this many tokens together."""
    ends = np.cumsum([len(text) for text in texts])
    return [text for text, end in zip(texts, ends, strict=True) if end <= most]

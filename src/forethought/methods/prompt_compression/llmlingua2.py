"""Drop the words that a token classifier finds least informative, for any question.

Paper: LLMLingua-2, arXiv:2403.12968 (ACL 2024 Findings)
Published: code; microsoft/LLMLingua with its small classifier. The budget is keep, in tokens of the
    target: the rate is the highest that fits it.
Exact: when keep reaches the prompt's length. Below it, every part of the document loses words.
Cost: an encoder reads the document in chunks; the target prefills at most keep tokens.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forethought.contracts.errors import BudgetTooSmallError
from forethought.contracts.parameters import Count
from forethought.contracts.records import Prompt
from forethought.contracts.roles import Draft
from forethought.methods.prompt_compression._room import PromptRoom
from forethought.methods.prompt_compression._shortening import Shortening
from forethought.methods.prompt_compression._words import Chunk, chunks_of, tokens_by_word
from forethought.numerics.late_imports import np
from forethought.numerics.word_choice import TextPart, words_that_fit

if TYPE_CHECKING:
    from forethought.models.encoders.token_classifier import TokenClassifier


@dataclass(frozen=True)
class LLMLingua2(Shortening):
    """Keeps the words of highest probability in every chunk, at one rate that fits the budget."""

    classifier: str = "microsoft/llmlingua-2-bert-base-multilingual-cased-meetingbank"
    """Token classifier: owner/name on the hub, or a folder of safetensors."""
    chunk: Count = 510
    """Classifier tokens per chunk, up to the classifier's context."""
    force: str = ""
    """Characters whose words always stay, such as '.?!'."""
    digits: bool = False
    """Always keep words with digits."""

    def uncounted(self) -> str:
        """The classifier, and the rest of the budget."""
        return "the token classifier is not counted, and whole words stay"

    def on_prompt(self, prompt: Prompt, draft: Draft, answer_tokens: int) -> Prompt:
        """The prompt of the kept words."""
        if not self.pays(len(prompt)):
            return prompt
        room = self.room(prompt)
        # Imported here because it loads torch, which prompts within the budget do not need.
        from forethought.models.encoders.token_classifier import open_token_classifier

        classifier = open_token_classifier(self.classifier)
        chunks = chunks_of(prompt, room, classifier, min(self.chunk, classifier.longest))
        texts = [chunk.tokens for chunk in chunks]
        draft.charge(tokens=sum(map(len, texts)), flops=classifier.flops(texts))
        return prompt.keep(room.kept(self._chosen(prompt, room, chunks, classifier)))

    def _chosen(
        self, prompt: Prompt, room: PromptRoom, chunks: Sequence[Chunk], classifier: TokenClassifier
    ) -> list[int]:
        chances = classifier.chances([chunk.tokens for chunk in chunks])
        held = tokens_by_word(prompt, room, chunks)
        parts = [
            self._part(chunk, found, tokens)
            for chunk, found, tokens in zip(chunks, chances, held, strict=True)
        ]
        forced = sum(int(part.counts[part.forced].sum()) for part in parts)
        if forced > room.count:
            raise BudgetTooSmallError(
                f"{self.name} has room for {room.count} tokens of the document, but words of "
                f"{forced} tokens are forced to stay",
                f"keep {forced - room.count} more, or force fewer words",
            )
        kept = words_that_fit(parts, room.count)
        return [
            token
            for tokens, stays in zip(held, kept, strict=True)
            for word in np.flatnonzero(stays)
            for token in tokens[word]
        ]

    def _part(self, chunk: Chunk, chances: np.ndarray, held: Sequence[Sequence[int]]) -> TextPart:
        """The chunk's words; a word's probability is the mean of its tokens', or 1 if forced."""
        sizes = np.bincount(chunk.words)
        forced = np.array([self._is_forced(word) for word in chunk.texts])
        means = np.bincount(chunk.words, weights=chances) / sizes
        return TextPart(
            np.where(forced, 1.0, means), np.array([len(word) for word in held]), forced
        )

    def _is_forced(self, word: str) -> bool:
        if self.digits and re.search(r"\d", word):
            return True
        return any(sign in word for sign in self.force)

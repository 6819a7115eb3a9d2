"""Keep the chunks and sentences with the highest cross-attention of a Fusion-in-Decoder reader.

Paper: From Reading to Compressing (R2C), arXiv:2410.04139 (EMNLP 2024 Findings); the reader is a
    Fusion-in-Decoder (FiD) model
Published: ours; the settings of eunseongc/R2C. Here: chunks are cut every 128 tokens alone, and
    sentences end where `bm25` ends them. Lengths are in tokens of the target, and the target length
    is lowered until the choice fits keep.
Exact: when keep reaches the prompt's length. Below it, the answer cannot see dropped text.
Cost: a T5 encoder reads each chunk with the question; the target prefills at most keep tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

from forethought.contracts.parameters import Count, Range, Share
from forethought.contracts.records import Prompt
from forethought.contracts.roles import Draft
from forethought.methods.prompt_compression._retrieval import question_of, sentences_of
from forethought.methods.prompt_compression._room import PromptRoom
from forethought.methods.prompt_compression._shortening import Shortening
from forethought.numerics.late_imports import np
from forethought.numerics.passage_choice import Passage, kept_passages

if TYPE_CHECKING:
    from forethought.models.encoders.reader import PassageReader

_QUESTION = 100  # the reader sees the last tokens of a longer question


@dataclass(frozen=True)
class R2C(Shortening):
    """Drops the worst chunks, then the worst sentences of the others, most from the worst ones."""

    encoder: str = "checkpoints_fid/nq_20_0/checkpoint/best_dev"
    """Reader: a folder of a T5 model in safetensors, or owner/name on the hub."""
    chunk: Count = 128
    """Tokens of a chunk."""
    longest: Count = 512
    """Most reader tokens of a chunk with the question."""
    sentences: Share = 0.2
    """Share of the dropped tokens that go as sentences of kept chunks."""
    power: Annotated[float, Range(0, 10)] = 1.0
    """A chunk's share of the dropped sentences falls with its score to this power."""

    def uncounted(self) -> str:
        """The reader, and the rest of the budget."""
        return "the reader is not counted, and whole sentences stay"

    def on_prompt(self, prompt: Prompt, draft: Draft, answer_tokens: int) -> Prompt:
        """The prompt of the kept sentences, in text order."""
        if not self.pays(len(prompt)):
            return prompt
        room, question = self.room(prompt), question_of(prompt, self.name)
        # Imported here because it loads torch, which prompts within the budget do not need.
        from forethought.models.encoders.reader import open_reader

        reader = open_reader(self.encoder)
        passages = self._passages(prompt, room, reader, draft, question)
        target = room.count
        while True:
            kept = kept_passages(passages, target, self.sentences, self.power)
            if len(kept) <= room.count:
                return prompt.keep(room.kept(kept))
            target -= len(kept) - room.count

    def _passages(
        self, prompt: Prompt, room: PromptRoom, reader: PassageReader, draft: Draft, question: str
    ) -> list[Passage]:
        """The chunks with their scores and those of their sentences."""
        asked = f"question: {reader.newest(question, _QUESTION)}"
        # The texts are tokenized apart, as the authors' code does to find where a chunk starts.
        before = len(reader.tokens(asked)) + len(reader.tokens("context:"))
        found = [
            sentences_of(prompt, PromptRoom(room.protected, part, 0))
            for part in _cut(room, self.chunk)
        ]
        texts = ["".join(one.text for one in chunk).strip() for chunk in found]
        read = [
            [*reader.tokens(f"{asked} context: {text}")[: self.longest - 1], reader.shape.end_token]
            for text in texts
        ]
        draft.charge(tokens=sum(map(len, read)), flops=reader.flops([len(one) for one in read]))
        passages = []
        for chunk, scores in zip(found, reader.scores(read), strict=True):
            lengths = [len(reader.tokens(one.text.strip())) for one in chunk]
            parts = tuple(tuple(one.tokens) for one in chunk)
            means = _means(scores[before:], lengths)
            passages.append(Passage(float(scores[:-1].mean()), parts, means))
        return passages


def _cut(room: PromptRoom, size: int) -> list[tuple[int, ...]]:
    """The droppable tokens in parts of at most `size`, each within one run."""
    return [
        tuple(range(start, min(start + size, last + 1)))
        for first, last in room.runs()
        for start in range(first, last + 1, size)
    ]


def _means(scores: np.ndarray, lengths: Sequence[int]) -> tuple[float, ...]:
    """The mean score of each sentence that the reader saw."""
    ends = np.cumsum([0, *lengths]).tolist()
    seen = [(a, b) for a, b in pairwise(ends) if a < len(scores)]
    return tuple(float(scores[a:b].mean()) if b > a else 0.0 for a, b in seen)

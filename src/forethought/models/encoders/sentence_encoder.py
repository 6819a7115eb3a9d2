"""Sentence embeddings: one unit vector per text, close for texts of similar meaning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from forethought.models.encoders.encoder import Encoder
from forethought.models.encoders.folder import encoder_folder
from forethought.models.sources.folder import FolderCheckpoint
from forethought.models.tokenization.library import library_errors

_LONGEST = 256  # tokens per text in the published encoder's training


@dataclass(frozen=True)
class Embedded:
    """Embeddings of texts, and their cost."""

    vectors: np.ndarray
    """[texts, hidden], unit vectors."""
    tokens: int
    flops: float


@dataclass(frozen=True)
class SentenceEncoder:
    """An encoder with mean pooling; it truncates long texts."""

    encoder: Encoder
    tokenizer: Tokenizer

    def embed(self, texts: Sequence[str]) -> Embedded:
        """Embed `texts`."""
        with library_errors(
            "the encoder's tokenizer cannot read these texts", "use another encoder"
        ):
            encoded = [found.ids for found in self.tokenizer.encode_batch(list(texts))]
        rows = self.encoder.read(encoded, _averaged)
        vectors = torch.stack(rows).cpu().numpy()
        return Embedded(vectors, sum(map(len, encoded)), self.encoder.flops(encoded))


@cache
def open_sentence_encoder(name: str) -> SentenceEncoder:
    """The sentence encoder `name` (see `encoder_folder`), loaded once per process."""
    checkpoint = FolderCheckpoint(encoder_folder(name))
    encoder = Encoder(checkpoint, "cuda" if torch.cuda.is_available() else "cpu")
    tokenizer = checkpoint.tokenizer()
    tokenizer.no_padding()
    tokenizer.enable_truncation(min(_LONGEST, encoder.shape.longest))
    tokenizer.encode_special_tokens = True
    return SentenceEncoder(encoder, tokenizer)


def _averaged(states: Tensor) -> Tensor:
    return functional.normalize(states.mean(1), dim=-1)

"""Encoders that label each token, such as with the probability that it is worth keeping."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from forethought.contracts.errors import UnsupportedModelError
from forethought.models.encoders.encoder import Encoder, read_tensor
from forethought.models.encoders.folder import encoder_folder
from forethought.models.sources.folder import FolderCheckpoint
from forethought.models.tokenization.library import library_errors

_SIGN = re.compile(r"\s*[!-/:-@[-`{-~]\s*")


@dataclass(frozen=True)
class Pieces:
    """A text as tokens of a classifier."""

    tokens: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    """Character range of each token."""
    words: tuple[int, ...]
    """Index of each token's word; each punctuation mark is a word."""


class TokenClassifier:
    """An encoder with two labels; the second means that a token is worth keeping."""

    def __init__(self, checkpoint: FolderCheckpoint, device: str) -> None:
        self.encoder = Encoder(checkpoint, device)
        self._tokenizer = _plain(checkpoint.tokenizer())
        self._ends = self._tokenizer.encode("", add_special_tokens=True).ids
        if len(self._ends) != 2:
            raise UnsupportedModelError(
                f"{checkpoint.folder}: its tokenizer adds {len(self._ends)} special tokens, not 2",
                "use a classifier with one special token at each end of a text",
            )
        self.longest = self.encoder.shape.longest - 2
        """Most tokens per text, without the special tokens at its ends."""
        read = partial(read_tensor, checkpoint, device=device)
        self._weight = read("classifier.weight", shape=(2, self.encoder.shape.hidden))
        self._bias = read("classifier.bias", shape=(2,))

    def pieces(self, text: str) -> Pieces:
        """Tokenize a text and group its tokens into words."""
        with library_errors("the encoder's tokenizer cannot read this text", "use another encoder"):
            found = self._tokenizer.encode(text, add_special_tokens=False)
        spans = tuple((int(start), int(stop)) for start, stop in found.offsets)
        return Pieces(tuple(found.ids), spans, tuple(_words(text, spans, found.word_ids)))

    def chances(self, texts: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """For each text of at most `longest` tokens: the probability that each is worth keeping."""
        rows = self.encoder.read(self._whole(texts), self._kept)
        return [row[1:-1].cpu().numpy() for row in rows]

    def flops(self, texts: Sequence[Sequence[int]]) -> float:
        """FLOPs of classifying these texts."""
        return self.encoder.flops(self._whole(texts))

    def _whole(self, texts: Sequence[Sequence[int]]) -> list[list[int]]:
        first, last = self._ends
        return [[first, *text, last] for text in texts]

    def _kept(self, states: Tensor) -> Tensor:
        return torch.softmax(functional.linear(states, self._weight, self._bias), -1)[..., 1]


@cache
def open_token_classifier(name: str) -> TokenClassifier:
    """The classifier `name` (see `encoder_folder`), loaded once per process."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return TokenClassifier(FolderCheckpoint(encoder_folder(name)), device)


def _plain(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True
    return tokenizer


def _words(text: str, spans: Sequence[tuple[int, int]], stated: Sequence[Any]) -> list[int]:
    """Word index of each token; white space, punctuation and the tokenizer start new words."""
    found: list[int] = []
    for place, (start, stop) in enumerate(spans):
        before = spans[place - 1][1] if place else start
        between = text[min(before, start) : start] + text[start:stop][:1]
        new = (
            stated[place] != stated[place - 1]
            or between != between.strip()
            or _SIGN.fullmatch(text[start:stop]) is not None
        )
        found.append(0 if not place else found[-1] + new)
    return found

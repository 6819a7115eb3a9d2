"""Reward models: decoders with a small head that scores chosen tokens.

Three kinds of head are supported:
- one linear map: reward models, and token classifiers saved by transformers;
- two linear maps with a ReLU between: Qwen2.5-Math-PRM;
- two rows of the language model head: models trained to say + or -.

A single label is an unbounded reward, mapped to a probability by a sigmoid. Of two labels, the
second is the good one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from forethought.contracts.errors import (
    DamagedFileError,
    PromptTooLongError,
    UnknownNameError,
    UnsupportedModelError,
)
from forethought.models.chat.transcript import ScoredTokens
from forethought.models.checkpoint.promises import checked_sources
from forethought.models.checkpoint.unread import check_all_read
from forethought.models.decoder.config import DecoderConfig
from forethought.models.decoder.names import Source
from forethought.models.encoders.packed_decoder import Packed, Read, decoder_of, joined, reader
from forethought.models.encoders.value_head import Head, fit_together
from forethought.models.hardware.threads import watched
from forethought.models.sources import hub
from forethought.models.sources.folder import FolderCheckpoint
from forethought.models.tokenization.tokenizer import Tokenizer, check_embedding

_BATCH_TOKENS = 1 << 12
_SCORES = ("score", "score.0", "score.2")
_HEADS = ("lm_head.weight", *(f"{name}.{kind}" for name in _SCORES for kind in ("weight", "bias")))
"""Heads that may stand beside the decoder without being used."""


class RewardHead:
    """A decoder with a reward head.

    With `words`, a bad and a good one, scores come from the language model head. Raises
    UnsupportedModelError without a supported head, and DamagedFileError for a missing tensor or a
    wrong shape.
    """

    def __init__(
        self, checkpoint: FolderCheckpoint, device: str, words: tuple[str, ...] = ()
    ) -> None:
        where = str(checkpoint.folder)
        config = DecoderConfig.from_transformers(checkpoint.config, where)
        # A model with a reward head may lack the language model head; `tied` asks for none.
        parts = checked_sources(checkpoint, config if words else replace(config, tied=True), where)
        check_all_read(checkpoint, parts.values(), _HEADS)
        self.tokenizer = _tokenizer(checkpoint, config.vocabulary)
        self.template = checkpoint.template
        self.words = tuple(_last_token(self.tokenizer, word) for word in words)
        """Token ids of the words."""
        if not words:  # logit scale and cap belong to the language model head
            config = replace(config, logit_scale=1.0, logit_softcap=None)
        read = reader(checkpoint, device)
        self._head = (
            _worded(parts, config, self.words, read) if words else _scored(checkpoint, read)
        )
        _check_labels(self._head, config, checkpoint)
        self._decoder = decoder_of(parts, config, self._head, read)
        self.shape = replace(self._decoder.shape, head_parameters=self._head.parameters)
        """Sizes, with the reward head as output."""

    def chances(self, readings: Sequence[ScoredTokens]) -> list[np.ndarray]:
        """For each text the probability of good at each of its places, float64.

        Raises PromptTooLongError for a text beyond the model's context.
        """
        if not all(one.tokens for one in readings):
            raise UnsupportedModelError(
                "the reward model's tokenizer turned a text into no tokens",
                "use another reward model",
            )
        longest = max((len(one.tokens) for one in readings), default=0)
        if longest > self.shape.context:
            raise PromptTooLongError(
                f"a question with its answer has {longest:,} tokens, more than the reward model's "
                f"context of {self.shape.context:,}",
                "allow shorter answers, or use another reward model",
            )
        return [found for batch in _batches(readings) for found in self._judged(batch)]

    @torch.inference_mode()
    def _judged(self, batch: Sequence[ScoredTokens]) -> list[np.ndarray]:
        lengths = [len(one.tokens) for one in batch]
        starts = np.cumsum([0, *lengths[:-1]]).tolist()
        rows = [s + place for s, one in zip(starts, batch, strict=True) for place in one.places]
        device = self._decoder.device
        with watched(device):
            found = self._decoder.forward(
                torch.tensor(
                    [t for one in batch for t in one.tokens], dtype=torch.long, device=device
                ),
                torch.cat([torch.arange(length, device=device) for length in lengths]),
                Packed(self.shape.layers, lengths),
                phase="prefill",
                logits_at=torch.tensor(rows, dtype=torch.long, device=device),
            )
        good = _good(found.double()).cpu().numpy()
        if not np.isfinite(good).all():
            raise DamagedFileError(
                "the reward model's scores are infinite or NaN", "fetch the model again"
            )
        ends = np.cumsum([len(one.places) for one in batch]).tolist()
        return [good[a:b] for a, b in zip([0, *ends], ends, strict=False)]


@cache
def open_reward_head(name: str, words: tuple[str, ...] = ()) -> RewardHead:
    """The reward model `name`, a folder or a hub id, loaded once per process.

    Raises UnknownNameError, DownloadError, and the errors of `RewardHead`.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return RewardHead(FolderCheckpoint(_folder(name)), device, words)


def _folder(name: str) -> Path:
    path = Path(name).expanduser()
    if (path / "config.json").is_file():
        return path
    if hub.is_hub_id(name):
        return hub.fetch(name)
    raise UnknownNameError(
        f"{name!r} is not a reward model",
        "give a folder with a config.json, or a hub id owner/name",
    )


def _batches(readings: Sequence[ScoredTokens]) -> Iterator[list[ScoredTokens]]:
    """Group neighbouring texts up to _BATCH_TOKENS tokens."""
    batch: list[ScoredTokens] = []
    for one in readings:
        if batch and sum(len(r.tokens) for r in [*batch, one]) > _BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


def _good(labels: Tensor) -> Tensor:
    """Labels [N, 1 or 2] to the probability of good [N]."""
    return torch.sigmoid(labels[:, 0]) if labels.shape[1] == 1 else torch.softmax(labels, 1)[:, 1]


def _tokenizer(checkpoint: FolderCheckpoint, rows: int) -> Tokenizer:
    inner, ends = checkpoint.tokenizer(), checkpoint.ends
    check_embedding(inner, ends.bos, rows, str(checkpoint.folder))
    return Tokenizer(inner, bos=ends.bos, ends=ends.eos, add_bos=ends.add_bos, rows=rows)


def _last_token(tokenizer: Tokenizer, word: str) -> int:
    tokens = tokenizer.encode(word)
    if not tokens:
        raise UnsupportedModelError(
            f"the reward model's tokenizer has no token for {word!r}", "set another style"
        )
    return tokens[-1]


def _worded(
    parts: Mapping[str, Source], config: DecoderConfig, words: Sequence[int], read: Read
) -> Head:
    """The rows of these tokens in the language model head."""
    whole = joined(parts["embed.weight" if config.tied else "head.weight"], read)
    return Head(((whole[list(words)].float(), None),))


def _scored(checkpoint: FolderCheckpoint, read: Read) -> Head:
    """The reward head stored in the folder."""
    names = checkpoint.names
    stored = [name for name in _SCORES if f"{name}.weight" in names]
    if stored not in (["score"], ["score.0", "score.2"]):
        raise UnsupportedModelError(
            f"{checkpoint.folder} holds no supported reward head (score.weight)",
            "use a reward model or a token classifier; models that say + or - need style=turns",
        )
    maps = tuple((read(f"{name}.weight").float(), _bias(name, names, read)) for name in stored)
    if not fit_together(maps):
        raise DamagedFileError(
            f"{checkpoint.folder}: the shapes of the reward head's tensors do not fit",
            "fetch the folder again",
        )
    return Head(maps)


def _bias(name: str, names: Collection[str], read: Read) -> Tensor | None:
    return read(f"{name}.bias").float() if f"{name}.bias" in names else None


def _check_labels(head: Head, config: DecoderConfig, checkpoint: FolderCheckpoint) -> None:
    if head.inputs != config.hidden:
        raise DamagedFileError(
            f"{checkpoint.folder}: the reward head takes {head.inputs} values of {config.hidden}",
            "fetch the folder again: its config.json belongs to another model",
        )
    if head.labels not in (1, 2):
        raise UnsupportedModelError(
            f"the reward head in {checkpoint.folder} has {head.labels} labels",
            "use a head with one label, or with the labels bad and good",
        )

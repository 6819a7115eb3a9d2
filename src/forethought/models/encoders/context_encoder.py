"""Sentence embeddings in context: a decoder without its causal mask reads all sentences at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from forethought.contracts.errors import UnsupportedModelError
from forethought.contracts.records import LayerShape
from forethought.models.checkpoint.promises import checked_sources
from forethought.models.checkpoint.unread import check_all_read
from forethought.models.decoder.config import DecoderConfig
from forethought.models.encoders.packed_decoder import decoder_of, reader
from forethought.models.hardware.threads import watched
from forethought.models.sources.adapter import AdaptedCheckpoint, model_folder, open_checkpoint
from forethought.models.sources.folder import FolderCheckpoint
from forethought.models.tokenization.library import library_errors
from forethought.models.tokenization.tokenizer import check_embedding

_HEAD = ("lm_head.weight",)


class ContextEncoder:
    """A decoder model whose tokens attend to all tokens of their text."""

    def __init__(self, checkpoint: FolderCheckpoint | AdaptedCheckpoint, device: str) -> None:
        where = str(checkpoint.folder)
        config = DecoderConfig.from_transformers(checkpoint.config, where)
        # The language model head is not used; `tied` asks for none.
        config = replace(config, tied=True, logit_scale=1.0, logit_softcap=None)
        parts = checked_sources(checkpoint, config, where)
        check_all_read(checkpoint, parts.values(), _HEAD)
        self._tokenizer = checkpoint.tokenizer()
        check_embedding(self._tokenizer, None, config.vocabulary, where)
        self._tokenizer.encode_special_tokens = True
        self._decoder = decoder_of(
            parts, config, _States(config.hidden), reader(checkpoint, device)
        )
        self.shape = replace(self._decoder.shape, head_parameters=0)
        """Sizes, without an output head."""
        if any(one.window or one.softcap for one in self.shape.layers):
            raise UnsupportedModelError(
                f"{where} has layers with a window or capped scores", "use a Llama model"
            )

    def tokens(self, text: str) -> list[int]:
        """The tokens of a text, without special tokens."""
        with library_errors("the encoder's tokenizer cannot read this text", "use another encoder"):
            found: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return found

    def embed(self, texts: Sequence[Sequence[int]]) -> np.ndarray:
        """[texts, hidden]: a unit vector for each text, all read as one text."""
        states = self._states([token for text in texts for token in text])
        parts = torch.split(states, [len(text) for text in texts])
        means = torch.stack([part.sum(0) / max(1, len(part)) for part in parts])
        found: np.ndarray = F.normalize(means, dim=-1).cpu().numpy()
        return found

    @torch.inference_mode()
    def _states(self, tokens: Sequence[int]) -> Tensor:
        device = self._decoder.device
        with watched(device):
            return self._decoder.forward(
                torch.tensor(tokens, dtype=torch.long, device=device),
                torch.arange(len(tokens), device=device),
                _Everything(self.shape.layers),
                phase="prefill",
            )


@cache
def open_context_encoder(name: str) -> ContextEncoder:
    """The encoder `name`, a folder or owner/name of a model or adapter, loaded once per process."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return ContextEncoder(open_checkpoint(model_folder(name)), device)


@dataclass(frozen=True)
class _States:
    """A head that passes the states on."""

    inputs: int

    def bytes(self, phase: str) -> int:
        """It reads no weights."""
        return 0

    def __call__(self, x: Tensor, phase: str) -> Tensor:
        return x.float()


@dataclass(frozen=True)
class _Everything:
    """Attention of every query to every key of a text."""

    layers: Sequence[LayerShape]

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        shape = self.layers[layer]
        group = shape.heads // shape.kv_heads
        q, k, v = (
            part.repeat_interleave(times, 1).transpose(0, 1)[None]
            for part, times in ((q, 1), (k, group), (v, group))
        )
        mixed = F.scaled_dot_product_attention(q, k, v, scale=shape.scale)
        return mixed[0].transpose(0, 1).flatten(1)

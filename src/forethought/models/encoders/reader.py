"""T5 readers: the attention of an answer's first token to several passages (Fusion-in-Decoder)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from forethought.contracts.errors import DamagedFileError, UnknownNameError, UnsupportedModelError
from forethought.models.checkpoint.claims import Claims, shortened
from forethought.models.encoders.encoder import read_tensor
from forethought.models.hardware.threads import watched
from forethought.models.sources.adapter import model_folder
from forethought.models.sources.folder import FolderCheckpoint
from forethought.models.tokenization.library import library_errors
from forethought.models.tokenization.tokenizer import check_embedding

_FEED_FORWARD: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gated-gelu": lambda x: F.gelu(x, approximate="tanh"),
}
"""By `feed_forward_proj`: the activation. Gated ones have a second input matrix."""
_MOST_LAYERS, _MOST_WIDTH = 1 << 10, 1 << 20


@dataclass(frozen=True)
class ReaderShape:
    """The sizes of a T5 model."""

    hidden: int
    head: int
    heads: int
    wide: int
    encoder_layers: int
    decoder_layers: int
    vocabulary: int
    buckets: int
    distance: int
    epsilon: float
    feed_forward: str
    first_token: int
    end_token: int

    @classmethod
    def from_transformers(cls, config: dict[str, Any], where: str) -> ReaderShape:
        """The sizes in a config.json; UnsupportedModelError for other model types."""
        claims = Claims(config, where, "fetch the folder again")
        kind = claims.text("model_type", "unknown")
        forward = claims.text("feed_forward_proj", "relu")
        if kind != "t5" or forward not in _FEED_FORWARD:
            raise UnsupportedModelError(
                f"readers of type {shortened(kind)} with {shortened(forward)} are not supported",
                f"use a T5 model with {' or '.join(_FEED_FORWARD)}",
            )
        layers = claims.count("num_layers", most=_MOST_LAYERS)
        return cls(
            hidden=claims.count("d_model", most=_MOST_WIDTH),
            head=claims.count("d_kv", most=_MOST_WIDTH),
            heads=claims.count("num_heads", most=_MOST_WIDTH),
            wide=claims.count("d_ff", most=_MOST_WIDTH),
            encoder_layers=layers,
            decoder_layers=claims.count("num_decoder_layers", layers, most=_MOST_LAYERS),
            vocabulary=claims.count("vocab_size", most=1 << 24),
            buckets=claims.count("relative_attention_num_buckets", 32, least=4, most=1 << 16),
            distance=claims.count("relative_attention_max_distance", 128, least=4),
            epsilon=claims.number("layer_norm_epsilon", 1e-6, above=0),
            feed_forward=forward,
            first_token=claims.count("decoder_start_token_id", 0, least=0),
            end_token=claims.count("eos_token_id", 1, least=0),
        )

    @property
    def inner(self) -> int:
        """Width of all heads."""
        return self.heads * self.head


class PassageReader:
    """A T5 model whose decoder sees all passages together; float32."""

    def __init__(self, checkpoint: FolderCheckpoint, device: str) -> None:
        where = str(checkpoint.folder)
        self.shape = ReaderShape.from_transformers(checkpoint.config, where)
        self._tokenizer = checkpoint.tokenizer()
        check_embedding(self._tokenizer, None, self.shape.vocabulary, where)
        if max(self.shape.first_token, self.shape.end_token) >= self.shape.vocabulary:
            raise DamagedFileError(f"{where} names a token beyond its vocabulary", "fetch it again")
        self._tokenizer.encode_special_tokens = True
        self._device = device
        stored = {_plain(name): name for name in checkpoint.names}
        self._weights = {
            name: read_tensor(checkpoint, stored.get(name, name), shape, device)
            for name, shape in _names(self.shape)
        }

    def tokens(self, text: str) -> list[int]:
        """The tokens of a text, without an end token."""
        with library_errors("the reader's tokenizer cannot read this text", "use another reader"):
            found: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return found

    def newest(self, text: str, most: int) -> str:
        """The part of a text that its last `most` tokens cover."""
        with library_errors("the reader's tokenizer cannot read this text", "use another reader"):
            spans = self._tokenizer.encode(text, add_special_tokens=False).offsets
        return text[spans[-most][0] :] if len(spans) > most else text

    def scores(self, passages: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """For each passage the attention of the first token, summed over layers and heads."""
        with torch.inference_mode(), watched(torch.device(self._device)):
            states = torch.cat([self._encoded(list(passage)) for passage in passages])
            found = self._attention(states)
        parts = torch.split(found, [len(passage) for passage in passages])
        return [part.cpu().numpy() for part in parts]

    def flops(self, passages: Sequence[int]) -> float:
        """FLOPs of scoring passages of these lengths."""
        one, tokens = self.shape, sum(passages)
        forward = (3 if one.feed_forward.startswith("gated") else 2) * one.wide
        layer = tokens * one.hidden * (4 * one.inner + forward)
        layer += sum(2 * length * length * one.inner for length in passages)
        crossing = tokens * one.inner * (2 * one.hidden + 2)
        return 2.0 * (one.encoder_layers * layer + one.decoder_layers * crossing)

    def _encoded(self, tokens: list[int]) -> Tensor:
        """[N, hidden]: the encoder's states of one passage."""
        states = self._weights["shared.weight"][torch.tensor(tokens, device=self._device)]
        bias = self._bias(len(tokens))
        for layer in (f"encoder.block.{n}.layer" for n in range(self.shape.encoder_layers)):
            inner = self._normed(states, f"{layer}.0.layer_norm")
            weights = self._weighed(f"{layer}.0.SelfAttention", inner, inner, bias)
            states = states + self._mixed(f"{layer}.0.SelfAttention", weights, inner)
            states = states + self._forward(states, f"{layer}.1")
        return self._normed(states, "encoder.final_layer_norm")

    def _attention(self, states: Tensor) -> Tensor:
        """[N]: the attention of the decoder's first token to all states."""
        token = self._weights["shared.weight"][self.shape.first_token][None]
        total = states.new_zeros(len(states))
        for layer in (f"decoder.block.{n}.layer" for n in range(self.shape.decoder_layers)):
            inner = self._normed(token, f"{layer}.0.layer_norm")
            # A single token attends to itself alone, whatever its query and its bias are.
            alone = inner.new_ones(self.shape.heads, 1, 1)
            token = token + self._mixed(f"{layer}.0.SelfAttention", alone, inner)
            inner = self._normed(token, f"{layer}.1.layer_norm")
            weights = self._weighed(f"{layer}.1.EncDecAttention", inner, states, None)
            total += weights.sum((0, 1))
            token = token + self._mixed(f"{layer}.1.EncDecAttention", weights, states)
            token = token + self._forward(token, f"{layer}.2")
        return total

    def _heads(self, name: str, states: Tensor) -> Tensor:
        """[H, N, D]."""
        found = F.linear(states, self._weights[f"{name}.weight"])
        return found.view(len(states), self.shape.heads, -1).transpose(0, 1)

    def _weighed(self, name: str, queries: Tensor, keys: Tensor, bias: Tensor | None) -> Tensor:
        """[H, N, M]: attention without a scale, as T5 has it."""
        scores = self._heads(f"{name}.q", queries) @ self._heads(f"{name}.k", keys).mT
        return torch.softmax(scores if bias is None else scores + bias, -1)

    def _mixed(self, name: str, weights: Tensor, states: Tensor) -> Tensor:
        mixed = weights @ self._heads(f"{name}.v", states)
        return F.linear(mixed.transpose(0, 1).flatten(1), self._weights[f"{name}.o.weight"])

    def _forward(self, states: Tensor, layer: str) -> Tensor:
        inner = self._normed(states, f"{layer}.layer_norm")
        name = f"{layer}.DenseReluDense"
        activated = _FEED_FORWARD[self.shape.feed_forward]
        if self.shape.feed_forward.startswith("gated"):
            wide = activated(F.linear(inner, self._weights[f"{name}.wi_0.weight"]))
            wide = wide * F.linear(inner, self._weights[f"{name}.wi_1.weight"])
        else:
            wide = activated(F.linear(inner, self._weights[f"{name}.wi.weight"]))
        return F.linear(wide, self._weights[f"{name}.wo.weight"])

    def _normed(self, states: Tensor, name: str) -> Tensor:
        mean = states.pow(2).mean(-1, keepdim=True)
        return self._weights[f"{name}.weight"] * states * torch.rsqrt(mean + self.shape.epsilon)

    def _bias(self, length: int) -> Tensor:
        """[H, N, N]: the encoder's bias by bucket of the distance from query to key."""
        place = torch.arange(length, device=self._device)
        away = place[None] - place[:, None]
        half = self.shape.buckets // 2
        exact = half // 2
        far = away.abs().clamp(min=1).float()
        steps = torch.log(far / exact) / math.log(self.shape.distance / exact) * (half - exact)
        large = (exact + steps.to(torch.long)).clamp(max=half - 1)
        bucket = torch.where(away.abs() < exact, away.abs(), large) + half * (away > 0)
        name = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        return self._weights[name][bucket].permute(2, 0, 1)


@cache
def open_reader(name: str) -> PassageReader:
    """The reader `name`, a folder or owner/name on the hub, loaded once per process."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        folder = model_folder(name)
    except UnsupportedModelError as error:
        raise UnknownNameError(
            f"there is no reader in {name!r}",
            "the README of eunseongc/R2C links its checkpoint, which no hub has: save it as "
            "safetensors with its tokenizer.json, and name the folder as encoder",
        ) from error
    return PassageReader(FolderCheckpoint(folder), device)


def _plain(name: str) -> str:
    """The name that transformers gives a tensor of a wrapped Fusion-in-Decoder model."""
    return name.replace("encoder.encoder.", "encoder.").replace(".module.", ".")


def _names(shape: ReaderShape) -> Iterator[tuple[str, tuple[int, ...]]]:
    hidden, inner = shape.hidden, shape.inner
    yield "shared.weight", (shape.vocabulary, hidden)
    first = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
    yield first, (shape.buckets, shape.heads)
    yield "encoder.final_layer_norm.weight", (hidden,)
    kinds = {
        "encoder": (shape.encoder_layers, ["SelfAttention"]),
        "decoder": (shape.decoder_layers, ["SelfAttention", "EncDecAttention"]),
    }
    for side, (layers, attentions) in kinds.items():
        for block in (f"{side}.block.{number}.layer" for number in range(layers)):
            for place, attention in enumerate(attentions):
                for part in "qkv":
                    yield f"{block}.{place}.{attention}.{part}.weight", (inner, hidden)
                yield f"{block}.{place}.{attention}.o.weight", (hidden, inner)
            for place in range(len(attentions) + 1):
                yield f"{block}.{place}.layer_norm.weight", (hidden,)
            forward = f"{block}.{len(attentions)}.DenseReluDense"
            gated = shape.feed_forward.startswith("gated")
            for part in ("wi_0", "wi_1") if gated else ("wi",):
                yield f"{forward}.{part}.weight", (shape.wide, hidden)
            yield f"{forward}.wo.weight", (hidden, shape.wide)

"""BERT and RoBERTa encoders: the hidden states of all tokens in one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from forethought.contracts.errors import DamagedFileError, UnsupportedModelError
from forethought.models.checkpoint.claims import Claims, shortened
from forethought.models.decoder.families import MOST_LAYERS
from forethought.models.sources.folder import FolderCheckpoint
from forethought.models.tokenization.tokenizer import check_embedding

_FIRST_POSITIONS = {"bert": 0, "roberta": 1, "xlm-roberta": 1}
"""By model type: offset of the first position after the padding token's id."""
_BATCH_TOKENS = 1 << 13
_MOST_ROWS, _MOST_WIDTH = 1 << 24, 1 << 20


@dataclass(frozen=True)
class EncoderShape:
    """The sizes of an encoder."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    epsilon: float
    first_position: int
    longest: int
    """Most tokens per text."""

    vocabulary: int
    """Rows of the word embedding."""
    positions: int
    """Rows of the position embedding."""
    segments: int
    """Rows of the token type embedding."""

    @classmethod
    def from_transformers(
        cls, config: dict[str, Any], where: str = "the encoder's config.json"
    ) -> EncoderShape:
        """The sizes in a config.json; UnsupportedModelError for other model types."""
        claims = Claims(config, where, "fetch the folder again")
        kind = claims.text("model_type", "unknown")
        if kind not in _FIRST_POSITIONS:
            raise UnsupportedModelError(
                f"encoders of type {shortened(kind)} are not supported",
                f"supported: {', '.join(_FIRST_POSITIONS)}",
            )
        for key, known in (("hidden_act", "gelu"), ("position_embedding_type", "absolute")):
            if (stated := claims.text(key, known)) != known:
                raise UnsupportedModelError(
                    f"the encoder's {key} is {shortened(stated)}", f"use an encoder with {known!r}"
                )
        padding = claims.count("pad_token_id", 1, least=0, most=_MOST_ROWS)
        first = padding + 1 if _FIRST_POSITIONS[kind] else 0
        hidden = claims.count("hidden_size", most=_MOST_WIDTH)
        heads = claims.count("num_attention_heads", most=hidden)
        if hidden % heads:
            raise claims.wrong("num_attention_heads", heads, f"a divisor of {hidden}")
        positions = claims.count("max_position_embeddings", least=first + 3, most=_MOST_ROWS)
        return cls(
            hidden=hidden,
            layers=claims.count("num_hidden_layers", most=MOST_LAYERS),
            heads=heads,
            intermediate=claims.count("intermediate_size", most=_MOST_WIDTH),
            epsilon=claims.number("layer_norm_eps", above=0),
            first_position=first,
            longest=positions - first,
            vocabulary=claims.count("vocab_size", most=_MOST_ROWS),
            positions=positions,
            segments=claims.count("type_vocab_size", most=_MOST_ROWS),
        )

    def flops(self, tokens: int) -> float:
        """FLOPs of a forward pass over one text; a multiply-add counts as two."""
        products = 2 * tokens * self.hidden * (4 * self.hidden + 2 * self.intermediate)
        return float(self.layers * (products + 4 * tokens * tokens * self.hidden))


class Encoder:
    """An encoder's embeddings and layers, in float32."""

    def __init__(self, checkpoint: FolderCheckpoint, device: str) -> None:
        where = str(checkpoint.folder)
        self.shape = EncoderShape.from_transformers(checkpoint.config, where)
        self.device = device
        _check_words(checkpoint.tokenizer(), self.shape.vocabulary, where)
        ending = "embeddings.word_embeddings.weight"
        found = [name for name in checkpoint.names if name.endswith(ending)]
        if len(found) != 1:
            raise DamagedFileError(
                f"{checkpoint.folder} holds {len(found)} word embeddings, not one",
                "use the folder of one encoder",
            )
        self._prefix = found[0].removesuffix(ending)
        self._weights = {
            name: read_tensor(checkpoint, self._prefix + name, shape, device)
            for name, shape in _names(self.shape)
        }

    @torch.inference_mode()
    def read(
        self, texts: Sequence[Sequence[int]], reduce: Callable[[Tensor], Tensor]
    ) -> list[Tensor]:
        """Encode texts; `reduce` maps the states [B, N, hidden] of equal-length texts to results.

        Texts of equal length share a batch, so nothing is padded.
        """
        found: dict[int, Tensor] = {}
        for group in _of_equal_length(texts):
            tokens = torch.tensor([list(texts[n]) for n in group], device=self.device)
            found |= zip(group, reduce(self._states(tokens)), strict=True)
        return [found[n] for n in range(len(texts))]

    def flops(self, texts: Sequence[Sequence[int]]) -> float:
        """FLOPs of encoding these texts."""
        return sum(self.shape.flops(len(text)) for text in texts)

    def _states(self, tokens: Tensor) -> Tensor:
        weights, first = self._weights, self.shape.first_position
        states = (
            weights["embeddings.word_embeddings.weight"][tokens]
            + weights["embeddings.token_type_embeddings.weight"][0]
            + weights["embeddings.position_embeddings.weight"][first : first + tokens.shape[1]]
        )
        states = self._normed(states, "embeddings.LayerNorm")
        for layer in range(self.shape.layers):
            states = self._layer(states, f"encoder.layer.{layer}")
        return states

    def _layer(self, states: Tensor, name: str) -> Tensor:
        query, key, value = (
            self._linear(states, f"{name}.attention.self.{part}")
            .view(*states.shape[:2], self.shape.heads, -1)
            .transpose(1, 2)
            for part in ("query", "key", "value")
        )
        mixed = functional.scaled_dot_product_attention(query, key, value)
        out = self._linear(mixed.transpose(1, 2).flatten(2), f"{name}.attention.output.dense")
        states = self._normed(states + out, f"{name}.attention.output.LayerNorm")
        wide = functional.gelu(self._linear(states, f"{name}.intermediate.dense"))
        out = self._linear(wide, f"{name}.output.dense")
        return self._normed(states + out, f"{name}.output.LayerNorm")

    def _linear(self, states: Tensor, name: str) -> Tensor:
        return functional.linear(
            states, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        )

    def _normed(self, states: Tensor, name: str) -> Tensor:
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        return functional.layer_norm(states, weight.shape, weight, bias, self.shape.epsilon)


def _check_words(tokenizer: Tokenizer, rows: int, where: str) -> None:
    """Raise UnsupportedModelError for tokens without an embedding, or if an empty text stays
    empty."""
    check_embedding(tokenizer, None, rows, where)
    around = tokenizer.encode("", add_special_tokens=True).ids
    if not around or max(around) >= rows:
        raise UnsupportedModelError(
            f"the tokenizer in {where} adds the special tokens {around[:4]} to a text, but the "
            f"embedding has {rows:,} rows",
            "use the tokenizer that this encoder was published with",
        )


def read_tensor(
    checkpoint: FolderCheckpoint, name: str, shape: tuple[int, ...], device: str
) -> Tensor:
    """A tensor in float32; DamagedFileError for another shape."""
    found = checkpoint.shape_of(name)
    if found != shape:
        raise DamagedFileError(
            f"{checkpoint.folder}: {name} has the shape {found}, not {shape}",
            "fetch the folder again: its config.json belongs to another model",
        )
    return checkpoint.tensor(name).to(device, torch.float32)


def _names(shape: EncoderShape) -> Iterator[tuple[str, tuple[int, ...]]]:
    hidden, wide = shape.hidden, shape.intermediate
    yield "embeddings.word_embeddings.weight", (shape.vocabulary, hidden)
    yield "embeddings.token_type_embeddings.weight", (shape.segments, hidden)
    yield "embeddings.position_embeddings.weight", (shape.positions, hidden)
    linears = {f"attention.self.{part}": (hidden, hidden) for part in ("query", "key", "value")}
    linears["attention.output.dense"] = (hidden, hidden)
    linears |= {"intermediate.dense": (wide, hidden), "output.dense": (hidden, wide)}
    norms = ["embeddings.LayerNorm"]
    for layer in (f"encoder.layer.{number}" for number in range(shape.layers)):
        for name, sizes in linears.items():
            yield f"{layer}.{name}.weight", sizes
            yield f"{layer}.{name}.bias", sizes[:1]
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
    for name in norms:
        yield f"{name}.weight", (hidden,)
        yield f"{name}.bias", (hidden,)


def _of_equal_length(texts: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    groups: dict[int, list[int]] = {}
    for number, text in enumerate(texts):
        groups.setdefault(len(text), []).append(number)
    for length, group in groups.items():
        size = max(1, _BATCH_TOKENS // length)
        yield from (group[start : start + size] for start in range(0, len(group), size))

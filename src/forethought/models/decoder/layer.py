"""One decoder layer, in two halves around its attention.

For one token of a small model, the number of kernel calls limits the speed. Layers therefore fuse
operations and work in place on their own tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from forethought.models.decoder.experts import Experts
from forethought.models.decoder.linear import Linear
from forethought.models.decoder.norm import Norm
from forethought.models.decoder.rope import Rotation, rotate_
from forethought.models.hardware.sliced_task import pause

_ROWS = 512
"""Tokens per block: its values stay in the CPU's cache, and a pass may pause after it.
A constant, since products of other shapes round differently."""


class Mlp(Protocol):
    """The position-wise half of a layer."""

    def __call__(self, x: Tensor, phase: str) -> Tensor:
        """[N, hidden] to a new tensor [N, hidden]."""
        ...

    def weight_bytes(self, phase: str, tokens: int) -> int:
        """Bytes of weights that one pass reads for so many tokens."""
        ...


@dataclass(frozen=True, slots=True)
class Layer:
    """One decoder layer; norms that its family lacks are None."""

    heads: int
    kv_heads: int
    head_dim: int
    rope: int | None
    residual_scale: float
    qkv: Linear
    out: Linear
    mlp: Mlp
    attention_norm: Norm | None
    attention_post_norm: Norm | None
    mlp_norm: Norm | None
    mlp_post_norm: Norm | None
    head_norm: Norm | None
    query_norm: Norm | None
    key_norm: Norm | None

    def weight_bytes(self, phase: str, tokens: int) -> int:
        """Bytes of weights that one pass reads for so many tokens."""
        mlp = self.mlp.weight_bytes(phase, tokens)
        return self.qkv.bytes(phase) + self.out.bytes(phase) + mlp

    def attention_inputs(
        self, x: Tensor, turn: Rotation | None, phase: str
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Rotated queries [N, H, D] and keys [N, K, D], and values [N, K, D]."""
        if len(x) <= _ROWS:
            return self._block_inputs(x, turn, phase)
        blocks = []
        for start in range(0, len(x), _ROWS):
            rows = slice(start, start + _ROWS)
            blocks.append(self._block_inputs(x[rows], turn and turn.part(rows), phase))
            pause()
        queries, keys, values = (torch.cat(parts) for parts in zip(*blocks, strict=True))
        return queries, keys, values

    def normed(self, x: Tensor) -> Tensor:
        """The inputs of attention [N, hidden] of a residual stream."""
        return x if self.attention_norm is None else self.attention_norm(x)

    def _block_inputs(
        self, x: Tensor, turn: Rotation | None, phase: str
    ) -> tuple[Tensor, Tensor, Tensor]:
        every = self.qkv(self.normed(x), phase).view(len(x), -1, self.head_dim)
        both = every.narrow(1, 0, self.heads + self.kv_heads)
        values = every.narrow(1, self.heads + self.kv_heads, self.kv_heads)
        if self.head_norm is not None:
            both = self.head_norm(both)
        elif self.query_norm is not None:
            both = self._full_norm(both)
        if turn is not None:
            both = rotate_(both, turn)
        queries = both.narrow(1, 0, self.heads)
        return queries, both.narrow(1, self.heads, self.kv_heads), values

    def _full_norm(self, both: Tensor) -> Tensor:
        assert self.query_norm is not None
        assert self.key_norm is not None
        queries, keys = torch.split(both, [self.heads, self.kv_heads], 1)
        flat = [self.query_norm(queries.flatten(1)), self.key_norm(keys.flatten(1))]
        return torch.cat(flat, 1).view(both.shape)

    def finish_(self, x: Tensor, mixed: Tensor, phase: str) -> None:
        """Add the outputs of attention [N, H * D] and MLP to the residual stream x [N, hidden]."""
        if len(x) <= _ROWS:
            return self._finish_block_(x, mixed, phase)
        for rows, theirs in zip(torch.split(x, _ROWS), torch.split(mixed, _ROWS), strict=True):
            self._finish_block_(rows, theirs, phase)
            pause()
        return None

    def _finish_block_(self, x: Tensor, mixed: Tensor, phase: str) -> None:
        y = self.out(mixed, phase)
        if self.attention_post_norm is not None:
            y = self.attention_post_norm(y)
        self._add_(x, y)
        pause()
        y = self.mlp(x if self.mlp_norm is None else self.mlp_norm(x), phase)
        if self.mlp_post_norm is not None:
            y = self.mlp_post_norm(y)
        self._add_(x, y)

    def _add_(self, x: Tensor, y: Tensor) -> None:
        if self.residual_scale == 1.0:
            x.add_(y)
        else:
            x.add_(y, alpha=self.residual_scale)


@dataclass(frozen=True, slots=True)
class DenseMlp:
    """The gated MLP; `activation` may overwrite its argument."""

    gate_up: Linear
    down: Linear
    activation: Callable[[Tensor], Tensor]

    def weight_bytes(self, phase: str, tokens: int) -> int:
        """Bytes of weights that one pass reads for so many tokens."""
        return self.gate_up.bytes(phase) + self.down.bytes(phase)

    def __call__(self, x: Tensor, phase: str) -> Tensor:
        """[N, hidden] to a new tensor [N, hidden]."""
        gate, up = self.gate_up(x, phase).chunk(2, -1)
        return self.down(self.activation(gate) * up, phase)


@dataclass(frozen=True, slots=True)
class SparseMlp:
    """A mixture of experts as MLP; its format is the same in all phases."""

    experts: Experts

    def weight_bytes(self, phase: str, tokens: int) -> int:
        """Bytes of weights that one pass reads for so many tokens."""
        return self.experts.weight_bytes(tokens)

    def __call__(self, x: Tensor, phase: str) -> Tensor:
        """[N, hidden] to a new tensor [N, hidden]."""
        return self.experts(x)

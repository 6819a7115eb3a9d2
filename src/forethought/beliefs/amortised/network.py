"""A prior-data fitted network (arXiv:2112.10510): evidence as context, one token a query.

Tokens have no positions, so the order of the evidence makes no difference. Context tokens attend
to the context; a query attends to the context and to itself, so queries do not see each other.
A token stands for `times` equal items: the attention logits of its key rise by log(times), which
equals attention to that many copies.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class NetworkShape:
    """Sizes of a network; the defaults train in minutes on one CPU core."""

    context: int
    """Features of a context token."""
    query: int
    """Features of a query token."""
    bars: int
    width: int = 64
    layers: int = 3
    heads: int = 4


class PriorFittedNetwork(nn.Module):
    """Logits of a bar distribution for each query."""

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.shape = shape
        self.context_in = nn.Linear(shape.context, shape.width)
        self.query_in = nn.Linear(shape.query, shape.width)
        self.blocks = nn.ModuleList(_Block(shape) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)
        self.out = nn.Linear(shape.width, shape.bars)

    def forward(self, context: Tensor, times: Tensor, queries: Tensor) -> Tensor:
        """Logits [batch, queries, bars] of `context` [batch, tokens, features].

        `times` [batch, tokens] counts equal items; 0 hides a token.
        """
        tokens = torch.cat((self.context_in(context), self.query_in(queries)), dim=1)
        bias = _bias(times, queries.shape[1])
        for block in self.blocks:
            tokens = block(tokens, bias)
        found: Tensor = self.out(self.norm(tokens[:, context.shape[1] :]))
        return found


class _Block(nn.Module):
    """Pre-norm attention and a feed-forward layer, both residual."""

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.first, self.second = nn.LayerNorm(shape.width), nn.LayerNorm(shape.width)
        self.qkv = nn.Linear(shape.width, 3 * shape.width)
        self.merge = nn.Linear(shape.width, shape.width)
        self.up = nn.Linear(shape.width, 4 * shape.width)
        self.down = nn.Linear(4 * shape.width, shape.width)

    def forward(self, tokens: Tensor, bias: Tensor) -> Tensor:
        parts = self.qkv(self.first(tokens)).chunk(3, dim=-1)
        query, key, value = (one.unflatten(-1, (self.heads, -1)).transpose(1, 2) for one in parts)
        seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        tokens = tokens + self.merge(seen.transpose(1, 2).flatten(2))
        found: Tensor = tokens + self.down(functional.gelu(self.up(self.second(tokens))))
        return found


def _bias(times: Tensor, queries: int) -> Tensor:
    """Attention logits to add: log(times) for context keys, and each query's own key."""
    batch, context = times.shape
    size = context + queries
    bias = times.new_full((batch, 1, size, size), -torch.inf)
    bias[:, 0, :, :context] = times.log()[:, None, :]
    own = torch.arange(context, size)
    bias[:, 0, own, own] = 0.0
    # A hidden token attends to itself, since a row without any key has no softmax.
    hidden = torch.arange(context)
    bias[:, 0, hidden, hidden] = bias[:, 0, hidden, hidden].clamp(min=-1e4)
    return bias

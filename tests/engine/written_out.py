"""Attention as its definition says, and random inputs to it."""

import torch

from forethought.contracts.records import LayerShape
from forethought.engine.layer_view import CachedLayer
from tests.tiny import tiny_decoder


def plain(queries, keys, values, shape, hidden):
    """Attention written out, head by head, in float64; hidden [K, T, E]."""
    groups = queries.shape[1] // keys.shape[0]
    size = (queries.shape[0], queries.shape[1], values.shape[-1])
    out = queries.new_empty(size, dtype=torch.float64)
    for head in range(queries.shape[1]):
        k = head // groups
        scores = queries[:, head].double() @ keys[k].double().T * shape.scale
        if shape.softcap:
            scores = shape.softcap * torch.tanh(scores / shape.softcap)
        weights = torch.softmax(scores.masked_fill(hidden[k].to(scores.device), -torch.inf), -1)
        out[:, head] = weights @ values[k].double()
    return out.flatten(1)


def inputs(length, entries, heads=6, kv_heads=2, dim=16, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    make = lambda *size: torch.randn(*size, generator=generator).to(dtype)  # noqa: E731
    return make(length, heads, dim), make(kv_heads, entries, dim), make(kv_heads, entries, dim)


def future(length, entries, kv_heads=2):
    hidden = torch.ones(length, entries).triu(entries - length + 1).bool()
    return hidden.expand(kv_heads, -1, -1)


def shape_of(**changes):
    return LayerShape(heads=6, kv_heads=2, head_dim=16, scale=0.4, **changes)


def view_over(queries, keys, values, shape, **changes):
    """A view of these tensors as the whole of a prompt's first layer."""
    kv_heads, entries, _ = keys.shape
    settings = {
        "positions": torch.arange(entries).expand(kv_heads, -1),
        "prompt_length": entries,
        "protected": frozenset(),
        "network": tiny_decoder(),
        **changes,
    }
    return CachedLayer(
        layer=0, layers=3, shape=shape, queries=queries, keys=keys, values=values, **settings
    )

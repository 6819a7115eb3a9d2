"""Sparse MLPs by masks over whole matrices, and answers decoded without any cache kept."""

from __future__ import annotations

import torch
from torch import Tensor

from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Meter
from forethought.engine.new_tokens import NewTokens


def activations(decoder, layer, x):
    """The activations [N, F] of a layer's MLP for its inputs [N, hidden], neuron by neuron."""
    weights = decoder._tensors
    gate, up = weights[f"layers.{layer}.gate_up.weight"].chunk(2)
    rows = []
    for token in x:
        row = []
        for g, u in zip(gate, up, strict=True):
            pre = float((g * token).sum())
            row.append(pre / (1 + torch.tensor(-pre, dtype=torch.float64).exp().item()))
            row[-1] *= float((u * token).sum())
        rows.append(row)
    return torch.tensor(rows, dtype=torch.float64)


def flocking(rows, count):
    """GRIFFIN's neurons by loops: the norm over tokens of activations relative to their norm."""
    scores = [0.0] * len(rows[0])
    for row in rows:
        norm = sum(float(one) ** 2 for one in row) ** 0.5
        for neuron, one in enumerate(row):
            scores[neuron] += (float(one) / norm) ** 2 if norm else 0.0
    order = sorted(range(len(scores)), key=lambda neuron: -(scores[neuron] ** 0.5))
    return sorted(order[:count])


def strongest(gates, count):
    """The neurons of a token's `count` strongest gates, by sorting."""
    return sorted(range(len(gates)), key=lambda neuron: -abs(float(gates[neuron])))[:count]


def logits_after(passes) -> Tensor:
    """Logits [V] after passes (network, tokens, phase) over a new cache."""
    return read(SequenceCache(len(passes[0][0].shape.layers)), passes)


def read(cache, passes) -> Tensor:
    """Logits [V] after further passes over a cache."""
    out = torch.empty(0)
    for network, tokens, phase in passes:
        batch = Batch(network, Meter(lambda: 0.0))
        if phase == "prefill":
            out = batch.prefill(cache, tokens)
            continue
        for token in tokens:
            out = batch.forward([NewTokens(cache, [token])], phase="decode")[-1]
    return out

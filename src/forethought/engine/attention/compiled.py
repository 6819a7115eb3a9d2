"""Attention by the compiled kernels: of decode steps and of prompts.

In a decode step, the kernels cache the new keys and values and attend in one call for all rows.
They cut a row's entries into chunks of a fixed size, so that its result depends on its entries
alone: not on its company, and not on which segments hold them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from forethought.contracts.records import LayerShape
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.models.compiled.kernels import PIECE, Kernels
from forethought.models.hardware.sliced_task import pause

_SPAN = 512
"""Prompt tokens between two pauses."""


def attendable(row: SequenceCache, layer: int) -> bool:
    """Whether every segment of a row holds a layer in one block, and unpacked."""
    for view in row.views:  # runs for every layer of every token
        if not view.segment.layers[layer].one_plain:
            return False
    return row.tail.layers[layer].one_plain


def attendable_throughout(row: SequenceCache) -> bool:
    """Whether the compiled kernels can attend to every layer of a row."""
    return all(attendable(row, layer) for layer in range(len(row.tail.layers)))


def attend_compiled(
    made: Kernels,
    tokens: tuple[Tensor, Tensor, Tensor],
    rows: Sequence[SequenceCache],
    layer: int,
    shape: LayerShape,
) -> Tensor:
    """Caches keys and values [R, K, D] of one new token a row; queries [R, H, D] to [R, H * D]."""
    _, keys, values = tokens
    pieces: list[int] = []
    ends: list[int] = []
    lengths: list[int] = []
    for i, row in enumerate(rows):
        total = 0
        for view in row.views:
            block = view.segment.layers[layer].whole
            seen = block.length - view.unseen
            if seen > 0:
                pieces += (*block.place, seen)
                total += seen
        tail = row.tail.layers[layer].whole
        if not tail.extend_one():
            row.extend(layer, keys[i : i + 1], values[i : i + 1])
        pieces += (*tail.place, tail.length)
        ends.append(len(pieces) // PIECE)
        lengths.append(total + tail.length)
    return made.attend(aligned(tokens), shape.scale, pieces, ends, lengths)


def attend_prompt(
    made: Kernels, queries: Tensor, keys: Tensor, values: Tensor, shape: LayerShape
) -> Tensor:
    """Causal attention of the newest T of E entries; see `prefill.attend_causal`."""
    length, heads, size = queries.shape
    first = keys.shape[1] - length
    queries, keys, values = (contiguous_heads(part) for part in (queries, keys, values))
    paired = made.pair_values(values)
    mixed = queries.new_empty(length, heads * size)
    for start in range(0, length, _SPAN):
        span = slice(start, start + _SPAN)
        made.attend_prefill(queries[span], shape.scale, keys, paired, first + start, mixed[span])
        pause()
    return mixed


def contiguous_heads(held: Tensor) -> Tensor:
    """The tensor, contiguous within each part of its first axis."""
    return held if held.stride()[1:] == (held.shape[2], 1) else held.contiguous()


def aligned(tokens: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """The same with contiguous heads and one stride between rows, as the kernels want them."""
    size, step = tokens[0].shape[-1], tokens[0].stride(0)
    if all(part.stride() == (step, size, 1) for part in tokens):
        return tokens
    heads = [part.shape[1] for part in tokens]
    queries, keys, values = torch.split(torch.cat(tokens, 1), heads, 1)
    return queries, keys, values

"""The token of each KV-cache entry, and the number of entries that an eviction leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forethought.contracts.parameters import Amount, entries_kept
from forethought.contracts.roles import LayerView
from forethought.numerics.late_imports import torch

if TYPE_CHECKING:
    from torch import Tensor


def entry_places(view: LayerView) -> Tensor:
    """[K, E]: the place in the text of each entry's token; -1 at padding.

    During prefill, places count the tokens of the prompt. Later they are positions. The two
    agree unless the prompt was shortened and its tokens kept their positions.
    """
    entries = view.keys.shape[1]
    if not view.decoding and view.held is None and len(view.queries) == entries:
        return whole_places(view)
    positions = view.positions.to(view.keys.device).expand(view.keys.shape[0], entries)
    if view.held is None:
        return positions
    place = torch.arange(entries, device=view.keys.device)
    return positions.masked_fill(place >= view.held.to(view.keys.device)[:, None], -1)


def whole_places(view: LayerView) -> Tensor:
    """[K, E]: the places in a cache that has lost no entry."""
    kv_heads, entries, _ = view.keys.shape
    return torch.arange(entries, device=view.keys.device).expand(kv_heads, entries)


def after_newest(places: Tensor) -> int:
    """The place of the next token."""
    return int(places.max()) + 1


def entries_left(keep: Amount, every: int, length: int) -> int:
    """Entries per head after an eviction: `keep` without the tokens until the next eviction."""
    if every and isinstance(keep, int):
        return keep - every  # the answer may outgrow a shorter prompt
    return entries_kept(keep, length) - every


def for_heads(view: LayerView, heads: Tensor) -> Tensor:
    """[K, E]: the score [K] of its head for every entry."""
    return heads.to(view.keys.device).unsqueeze(1).expand(view.keys.shape[:2])

"""The sharpest attention rows of a text: for each token, those of the heads of lowest entropy.

Steps 3 and 4 of UQAC, arXiv:2503.19168.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

Array = np.ndarray


@dataclass
class SharpestRows:
    """Keeps the rows of lowest entropy over all layers and heads that it sees."""

    heads: int
    """Rows to keep for each token."""
    recency: Sequence[float] = ()
    """Factors on the attention to the tokens just before each one, the farthest first."""
    _blocks: dict[int, _Kept] = field(default_factory=dict)
    """By number of the block's first token."""

    def add(self, first: int, rows: Array, text: int) -> None:
        """Take attention rows [heads, tokens, entries] of a block of tokens of one layer.

        The last entry of the last row is that token's own. `text` is the number of the text's
        tokens among the entries.
        """
        weighed = self._weighed(rows)
        entropies = row_entropies(weighed)
        own = weighed[..., weighed.shape[-1] - text :]
        known = self._blocks.get(first)
        if known is not None:
            own = np.concatenate([known.rows, own])
            entropies = np.concatenate([known.entropies, entropies])
        best = np.argsort(entropies, axis=0, kind="stable")[: self.heads]
        kept = np.take_along_axis(own, best[..., None], axis=0)
        self._blocks[first] = _Kept(kept, np.take_along_axis(entropies, best, axis=0))

    def strongest(self, tokens: int) -> Array:
        """[N, N] the greatest weight among the kept rows, from each token to each token."""
        found = np.zeros((tokens, tokens))
        for first, kept in self._blocks.items():
            strongest = kept.rows.max(0)
            found[first : first + len(strongest), : strongest.shape[1]] = strongest
        return found

    def _weighed(self, rows: Array) -> Array:
        """The rows without the sink and the tokens themselves, weighed by recency; sums are 1."""
        _, tokens, entries = rows.shape
        weighed = rows.astype(float)
        weighed[..., 0] = 0.0
        for row in range(tokens):
            place = entries - tokens + row
            weighed[:, row, place] = 0.0
            near = min(place, len(self.recency))
            factors = self.recency[len(self.recency) - near :]
            weighed[:, row, place - near : place] *= factors
        whole = weighed.sum(-1, keepdims=True)
        return weighed / np.where(whole > 0, whole, 1.0)


@dataclass(frozen=True)
class _Kept:
    """The rows [heads, tokens, text] of a block, and their entropies [heads, tokens]."""

    rows: Array
    entropies: Array


def row_entropies(rows: Array) -> Array:
    """The entropy of each row in nats; infinite for a row without any weight."""
    logs = np.log(rows, out=np.zeros_like(rows), where=rows > 0)
    return np.asarray(np.where(rows.sum(-1) > 0, -(rows * logs).sum(-1), np.inf))


def cosines(states: Array) -> Array:
    """[N, N] cosines between states [N, D]."""
    norms = np.linalg.norm(states, axis=-1, keepdims=True)
    unit = states / np.where(norms > 0, norms, 1.0)
    return np.asarray(unit @ unit.T)

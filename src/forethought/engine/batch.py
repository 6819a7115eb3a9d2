"""One forward pass over the packed tokens of any number of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from forethought.contracts.records import LayerShape
from forethought.contracts.roles import Network, Tap
from forethought.engine.attention import Visibility, attend_causal
from forethought.engine.cache import Row
from forethought.engine.meter import Meter
from forethought.engine.step_attention import attend_step
from forethought.engine.view import View

CHUNK = 2048  # prompt tokens a pass, where no method needs to see the whole prompt at once


@dataclass(frozen=True)
class Part:
    """New tokens of one row."""

    row: Row
    tokens: Sequence[int]


@dataclass(frozen=True)
class Look:
    """A tap, and what of the row's entries is the prompt."""

    tap: Tap
    length: int
    protected: frozenset[int] = frozenset()


class Batch:
    """Runs a network over rows and keeps the meter."""

    def __init__(self, network: Network, meter: Meter) -> None:
        self.network = network
        self.meter = meter

    def prefill(self, row: Row, tokens: Sequence[int]) -> Tensor:
        """Read tokens into a row, chunk by chunk; logits [V] after the last of them."""
        logits = torch.empty(0)
        for start in range(0, len(tokens), CHUNK):
            part = Part(row, tokens[start : start + CHUNK])
            last = start + CHUNK >= len(tokens)
            logits = self.forward([part], phase="prefill", logits=last)
        return logits[-1]

    def read(
        self,
        row: Row,
        tokens: Sequence[int],
        look: Look,
        layers: int | None = None,
    ) -> Tensor:
        """Read tokens in one pass, showing each layer; entries the tap drops are freed.

        Returns logits [1, V] after the last token, or an empty tensor when stopped early.
        """
        part = Part(row, tokens)
        return self.forward([part], phase="prefill", look=look, layers=layers)

    def step(self, rows: Sequence[Row], tokens: Sequence[int], look: Look | None = None) -> Tensor:
        """One new token for each row: logits [R, V]."""
        parts = [Part(row, [token]) for row, token in zip(rows, tokens, strict=True)]
        return self.forward(parts, phase="decode", look=look)

    @torch.inference_mode()
    def forward(
        self,
        parts: Sequence[Part],
        *,
        phase: str,
        look: Look | None = None,
        layers: int | None = None,
        logits: bool = True,
    ) -> Tensor:
        """Logits [R, V] after the last token of each part (empty when not asked for)."""
        pasts = [part.row.lengths() for part in parts]
        read = self._bytes_read(parts, layers)
        positions = [p for part in parts for p in part.row.advance(len(part.tokens))]
        device = self.network.device
        attend = Attention(self, parts, positions, look)
        ends = torch.tensor([len(part.tokens) for part in parts]).cumsum(0) - 1
        out = self.network.forward(
            torch.tensor([t for part in parts for t in part.tokens], device=device),
            torch.tensor(positions, device=device),
            attend,
            phase=phase,
            logits_at=ends if logits else ends[:0],
            layers=layers,
        )
        self.meter.read_cache(read)
        self._charge(parts, pasts, phase, layers, int(logits))
        return out

    def _charge(
        self,
        parts: Sequence[Part],
        pasts: list[tuple[int, ...]],
        phase: str,
        layers: int | None,
        logits: int,
    ) -> None:
        spans = [(past, len(part.tokens)) for past, part in zip(pasts, parts, strict=True)]
        weights = self.network.weight_bytes(phase, layers, sum(tokens for _, tokens in spans))
        self.meter.forward(self.network.shape, weights, spans, len(parts) * logits, layers)
        self.meter.watch([part.row for part in parts])

    def _bytes_read(self, parts: Sequence[Part], layers: int | None) -> int:
        """Bytes of keys and values that a pass will read; pieces that rows share once."""
        segments = {id(v.segment): v.lengths for part in parts for v in part.row.views}
        new = sum(len(part.tokens) for part in parts)
        held = [*segments.values(), *(part.row.tail.lengths() for part in parts)]
        used = self.network.shape.layers[:layers]
        sizes = [2 * self.network.dtype.itemsize * one.kv_heads * one.head_dim for one in used]
        totals = [new + sum(lengths) for lengths in zip(*held, strict=True)]
        return sum(total * size for total, size in zip(totals, sizes, strict=False))


class Attention:
    """The attention of one forward pass: caches the new keys and values, then attends."""

    def __init__(
        self,
        batch: Batch,
        parts: Sequence[Part],
        positions: list[int],
        look: Look | None,
    ) -> None:
        self._batch = batch
        self._parts = parts
        self._positions = positions
        self._look = look
        self._rows = [part.row for part in parts]
        self._single = all(len(part.tokens) == 1 for part in parts)

    def __call__(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """q [N, H, D], k [N, K, D], v [N, K, V] of this step's tokens to [N, H * V]."""
        shape = self._batch.network.shape.layers[layer]
        self._append(layer, keys, values)
        if self._single and self._look is None:
            return attend_step(queries, self._rows, layer, shape)
        start, out = 0, []
        for part in self._parts:
            stop = start + len(part.tokens)
            out.append(
                self._attend(part.row, layer, shape, queries[start:stop], slice(start, stop))
            )
            start = stop
        return out[0] if len(out) == 1 else torch.cat(out)

    def _append(self, layer: int, keys: Tensor, values: Tensor) -> None:
        if len(self._parts) == 1:
            return self._rows[0].append(layer, keys, values)
        start = 0
        for part in self._parts:
            stop = start + len(part.tokens)
            part.row.append(layer, keys[start:stop], values[start:stop])
            start = stop
        return None

    def _attend(
        self, row: Row, layer: int, shape: LayerShape, queries: Tensor, span: slice
    ) -> Tensor:
        pieces = row.pieces(layer)
        keys, values = pieces[0]
        if len(pieces) > 1:
            keys = torch.cat([piece[0] for piece in pieces], 1)
            values = torch.cat([piece[1] for piece in pieces], 1)
        sight = self._sight(row, layer, shape, span)
        out = attend_causal(queries, keys, values, shape, sight)
        if self._look is not None:
            prompt = self._look
            view = View(layer, shape, queries, keys, prompt.length, prompt.protected, sight)
            kept = prompt.tap(view)
            if kept is not None:
                self._batch.meter.watch(self._rows)
                row.keep(layer, kept)
        return out

    def _sight(self, row: Row, layer: int, shape: LayerShape, span: slice) -> Visibility:
        if shape.window is None:
            return Visibility()
        device = self._batch.network.device
        where = torch.tensor(self._positions[span], device=device)
        return Visibility(shape.window, where, row.positions_at(layer).to(device))

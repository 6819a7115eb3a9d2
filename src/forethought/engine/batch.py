"""One forward pass over the packed tokens of any number of sequences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from forethought.contracts.roles import Network, ShowStates
from forethought.cost.flops import causal_pairs
from forethought.engine.batch_attention import BatchAttention
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Meter
from forethought.engine.new_tokens import LayerHook, NewTokens
from forethought.engine.static_step import NewEntries, StaticSteps
from forethought.engine.upload import upload
from forethought.models.hardware.threads import watched

CHUNK = 2048  # prompt tokens per pass, unless a method must see the whole prompt at once


@dataclass(frozen=True)
class MeterShare:
    """The part of a pass that one meter is charged for."""

    meter: Meter
    parts: Sequence[NewTokens]
    pasts: Sequence[tuple[float, ...]]
    bytes_read: int


class Batch:
    """Runs forward passes of a network over cached sequences, and charges them."""

    def __init__(
        self,
        network: Network,
        meter: Meter,
        steps: StaticSteps | None = None,
        final: ShowStates | None = None,
    ) -> None:
        """`steps` decode in the place of plain passes where they can.

        `final` receives the final hidden states behind the logits of each pass.
        """
        self.network = network
        self.meter = meter
        self.steps = steps
        self.final = final

    def prefill(
        self,
        cache: SequenceCache,
        tokens: Sequence[int],
        positions: Sequence[int] = (),
        hook: LayerHook | None = None,
    ) -> Tensor:
        """Prefill tokens in chunks, which the hook sees; returns logits [V] after the last token.

        A hook that evicts needs `prefill_whole`.
        """
        if self.meter.limited:  # all chunks or none
            self.meter.check(self._flops_of([(cache.lengths(), len(tokens))]))
        logits = torch.empty(0)
        for start in range(0, len(tokens), CHUNK):
            chunk = slice(start, start + CHUNK)
            part = NewTokens(cache, tokens[chunk], positions[chunk])
            last = start + CHUNK >= len(tokens)
            logits = self.forward([part], phase="prefill", hook=hook, logits=last)
        return logits[-1]

    def prefill_whole(
        self,
        cache: SequenceCache,
        tokens: Sequence[int],
        hook: LayerHook,
        layers: int | None = None,
        positions: Sequence[int] = (),
    ) -> Tensor:
        """Prefill tokens in one pass that shows each layer to the hook; frees the entries it drops.

        Returns logits [1, V] after the last token that the hook sees, or an empty tensor if the
        pass stops after `layers` layers. The last of these only projects queries, keys and values:
        nothing follows its attention.
        """
        part = NewTokens(cache, tokens, positions, hidden_tail=hook.hidden_tail)
        return self.forward([part], phase="prefill", hook=hook, layers=layers)

    def step(
        self, caches: Sequence[SequenceCache], tokens: Sequence[int], hook: LayerHook | None = None
    ) -> Tensor:
        """Decode one token of each sequence: logits [R, V]."""
        parts = [NewTokens(cache, [token]) for cache, token in zip(caches, tokens, strict=True)]
        return self.forward(parts, phase="decode", hook=hook)

    def follow(self, cache: SequenceCache, tokens: Sequence[int]) -> Tensor:
        """Decode given tokens of one sequence in one pass; the logits [V] behind the last one."""
        return self.forward([NewTokens(cache, tokens)], phase="decode")[-1]

    @torch.inference_mode()
    def forward(
        self,
        parts: Sequence[NewTokens],
        *,
        phase: str,
        hook: LayerHook | None = None,
        layers: int | None = None,
        logits: bool = True,
        every: bool = False,
    ) -> Tensor:
        """Logits [R, V] at the places that each part asks for; empty without `logits`.

        With `every`, the rows are those of all tokens.
        """
        shares = self._shares(parts, layers)
        positions = [p for part in parts for p in part.place()]
        tokens = [t for part in parts for t in part.tokens]

        def arguments() -> dict[str, Any]:
            attend = BatchAttention(self.network, self.meter, parts, positions, hook, layers)
            read, places, ends = self._inputs(parts, tokens, positions)
            rows = ends if logits else ends[:0]
            named = {"phase": phase, "logits_at": None if every else rows, "layers": layers}
            final = {} if self.final is None else {"final": self.final}
            shown = {**({"show": attend.show} if attend.reads_inputs else {}), **final}
            return {"tokens": read, "positions": places, "attend": attend, **named, **shown}

        out = None
        counts = [self._logits(share, every) * logits for share in shares]
        with watched(self.network.device), self._reserved(shares, layers, counts):
            single = all(len(part.tokens) == 1 for part in parts)
            if self.steps is not None and hook is None and single and phase == "decode":
                new = NewEntries([part.cache for part in parts], tokens, positions)
                plain = lambda: self.network.forward(**arguments())  # noqa: E731
                out = self.steps.forward(self.network, new, plain, self.final)
            if out is None:
                given = arguments()
                with self._charged_in_part(shares, phase, given["attend"]):
                    out = self.network.forward(**given)
        for share, count in zip(shares, counts, strict=True):
            self._charge(share, phase, layers, count)
            self._refund_unread(share.meter, _spans(share), layers)
        return out

    def _logits(self, share: MeterShare, every: bool) -> int:
        return sum(len(part.tokens if every else part.rows) for part in share.parts)

    @contextmanager
    def _reserved(
        self, shares: Sequence[MeterShare], layers: int | None, counts: Sequence[int]
    ) -> Iterator[None]:
        """Reserve the FLOPs of a pass on meters with a limit."""
        limited = [pair for pair in zip(shares, counts, strict=True) if pair[0].meter.limited]
        try:
            for share, count in limited:
                flops = self._flops_of(_spans(share), count, layers)
                share.meter.check(flops)
                share.meter.reserved = flops
            yield
        finally:
            for share, _ in limited:
                share.meter.reserved = 0.0

    def _flops_of(
        self,
        spans: Sequence[tuple[tuple[float, ...], int]],
        logits: int = 1,
        layers: int | None = None,
    ) -> float:
        """FLOPs that a pass over these spans is charged for."""
        trial = Meter(self.meter.clock)
        trial.forward(self.network.shape, 0, spans, logits, layers)
        self._refund_unread(trial, spans, layers)
        return trial.flops

    @contextmanager
    def _charged_in_part(
        self, shares: Sequence[MeterShare], phase: str, attend: BatchAttention
    ) -> Iterator[None]:
        """Charge the completed layers of a pass that is cancelled or fails."""
        try:
            yield
        except BaseException:
            for share in shares if attend.reached else ():
                self._charge(share, phase, attend.reached, 0)
            raise

    def _inputs(
        self, parts: Sequence[NewTokens], tokens: Sequence[int], positions: Sequence[int]
    ) -> Sequence[Tensor]:
        """Tokens and positions [N], and the places of logits [R], in one transfer."""
        starts = accumulate((len(part.tokens) for part in parts), initial=0)
        # The last start is the end of all parts.
        ends = [
            start + row for start, part in zip(starts, parts, strict=False) for row in part.rows
        ]
        packed = upload([*tokens, *positions, *ends], torch.long, self.network.device)
        return torch.split(packed, [len(tokens), len(tokens), len(ends)])

    def charge(self, parts: Sequence[NewTokens], phase: str, layers: int | None = None) -> None:
        """Charge a pass that was computed before, as if it ran now."""
        for share in self._shares(parts, layers):
            flops = self._flops_of(_spans(share), self._logits(share, False), layers)
            share.meter.check(flops)
            self._charge(share, phase, layers, self._logits(share, False))
            self._refund_unread(share.meter, _spans(share), layers)

    def _charge(self, share: MeterShare, phase: str, layers: int | None, logits: int) -> None:
        spans = _spans(share)
        weights = self.network.weight_bytes(phase, layers, sum(tokens for _, tokens in spans))
        share.meter.forward(self.network.shape, weights, spans, logits, layers)
        share.meter.read_cache(share.bytes_read)
        share.meter.track_peak([part.cache for part in share.parts])

    def _refund_unread(
        self, meter: Meter, spans: Sequence[tuple[tuple[float, ...], int]], layers: int | None
    ) -> None:
        """Refund the attention of the layer at which a pass stopped."""
        if layers is None:
            return
        shape = self.network.shape.layers[layers - 1]
        for past, tokens in spans:
            meter.refund_attention(shape, causal_pairs(past[layers - 1], tokens, shape.window))

    def _shares(self, parts: Sequence[NewTokens], layers: int | None) -> list[MeterShare]:
        """The parts of each meter; each is charged as if its sequences ran alone."""
        meters = [part.meter or self.meter for part in parts]
        whose = {id(meter): meter for meter in meters}
        groups = [
            (meter, [part for part, its in zip(parts, meters, strict=True) if its is meter])
            for meter in whose.values()
        ]
        return [
            MeterShare(
                meter, mine, [p.cache.lengths() for p in mine], self._bytes_read(mine, layers)
            )
            for meter, mine in groups
        ]

    def _bytes_read(self, parts: Sequence[NewTokens], layers: int | None) -> int:
        """Bytes of keys and values that a pass reads; a shared segment counts once."""
        views = {id(v.segment): v for part in parts for v in part.cache.views}
        packed = sum(v.segment.bytes() for v in views.values() if v.segment.packed)
        segments = [v.lengths() for v in views.values() if not v.segment.packed]
        new = sum(len(part.tokens) for part in parts)
        held = [*segments, *(part.cache.tail.lengths() for part in parts)]
        used = self.network.shape.layers[:layers]
        sizes = [2 * self.network.dtype.itemsize * one.kv_heads * one.head_dim for one in used]
        totals = [new + sum(lengths) for lengths in zip(*held, strict=True)]
        return packed + int(sum(total * size for total, size in zip(totals, sizes, strict=False)))


def _spans(share: MeterShare) -> list[tuple[tuple[float, ...], int]]:
    """For each part, its entries per layer before the pass, and its new tokens."""
    return [(past, len(part.tokens)) for past, part in zip(share.pasts, share.parts, strict=True)]

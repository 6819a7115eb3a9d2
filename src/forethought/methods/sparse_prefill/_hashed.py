"""Attention by halves: exact on short stretches, estimated from hashed blocks between halves.

Parts of an attention over disjoint keys are outputs with the logarithm of their sum of
exponentials; merging them gives the attention over all of the keys.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forethought.contracts.roles import LayerView, SparseOutput
from forethought.methods.sparse_prefill._half_pairs import estimated_pairs
from forethought.methods.sparse_prefill._packing import packed_rows
from forethought.models.hardware.processor import widened
from forethought.models.hardware.sliced_task import pause
from forethought.numerics.late_imports import F, torch

if TYPE_CHECKING:
    from torch import Tensor

_ROWS = 256  # queries of an exact product at once


@dataclass(frozen=True)
class Part:
    """Attention over some of the keys."""

    out: Tensor
    """[G, T, V]"""
    log_sum: Tensor
    """[G, T, 1]: the logarithm of the sum of exponentials of the scores."""

    def merged(self, other: Part) -> Part:
        """The attention over the keys of both."""
        share = torch.sigmoid(self.log_sum - other.log_sum)
        log_sum = torch.logaddexp(self.log_sum, other.log_sum)
        return Part(torch.lerp(other.out, self.out, share), log_sum)

    def joined(self, later: Part) -> Part:
        """These queries, then later ones."""
        log_sums = torch.cat([self.log_sum, later.log_sum], 1)
        return Part(torch.cat([self.out, later.out], 1), log_sums)


@dataclass(frozen=True)
class HashedRule:
    """The sizes of an estimate between a later and an earlier stretch."""

    block: int
    """Keys of a block."""
    sample: int
    """Keys that stand for those outside of a query's block."""
    weighted: bool
    """Whether samples are uniform and carry weights; else they are the first keys."""
    exact: int
    """Keys up to which attention is exact."""
    hashes: Tensor
    """[D, bits]: the directions whose signs are the bits of a hash."""
    draws: torch.Generator
    """Draws the samples."""


def attend_halves(view: LayerView, rule: HashedRule) -> SparseOutput:
    """Attention of the view's queries, its newest tokens; entries before them are a first half."""
    kv_heads = len(view.keys)
    length, heads, _ = view.queries.shape
    out = view.queries.new_empty((length, heads, view.values.shape[-1]))
    pairs = 0.0
    for head in range(kv_heads):
        queries = packed_rows(view, head, slice(None)).transpose(0, 1)  # [G, T, D]
        keys, values = widened(view.keys[head]), widened(view.values[head])
        halves = _Halves(queries, keys, values, view.shape.softcap, rule)
        mine = slice(head * len(queries), (head + 1) * len(queries))
        out[:, mine] = halves.all().out.transpose(0, 1).to(out.dtype)
        pairs += halves.pairs
    return SparseOutput(out.flatten(1), pairs / kv_heads)


class _Halves:
    """One KV head: queries [G, T, D] of the newest T of E entries; keys [E, D], values [E, V]."""

    def __init__(
        self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        softcap: float | None,
        rule: HashedRule,
    ) -> None:
        self._queries, self._keys, self._values = queries, keys, values
        self._softcap, self._rule = softcap, rule
        self._first = len(keys) - queries.shape[1]
        self.pairs = 0.0

    def all(self) -> Part:
        """All queries over all entries that they see."""
        own = self._causal(self._first, len(self._keys))
        if not self._first:
            return own
        return own.merged(self._between(slice(self._first, len(self._keys)), slice(0, self._first)))

    def _causal(self, start: int, stop: int) -> Part:
        """The queries of a stretch over the entries of that stretch."""
        if stop - start <= self._rule.exact:
            return self._exact(slice(start, stop), slice(start, stop), causal=True)
        middle = start + -(-(stop - start) // 2)
        earlier, later = slice(start, middle), slice(middle, stop)
        crossed = self._causal(middle, stop).merged(self._between(later, earlier))
        return self._causal(start, middle).joined(crossed)

    def _between(self, rows: slice, seen: slice) -> Part:
        """The queries of a stretch over the entries of an earlier one."""
        if seen.stop - seen.start <= self._rule.exact:
            return self._exact(rows, seen, causal=False)
        return self._estimated(rows, seen)

    def _own(self, rows: slice) -> Tensor:
        return self._queries[:, rows.start - self._first : rows.stop - self._first]

    def _part(self, scores: Tensor, values: Tensor) -> Part:
        """Scores [.., T, n] over values [.., n, V]; a row without visible keys is zero."""
        log_sum = torch.logsumexp(scores, -1, keepdim=True)
        weights = (scores - log_sum.clamp_min(torch.finfo(scores.dtype).min)).exp_()
        wide = torch.promote_types(values.dtype, torch.float32)
        return Part(torch.matmul(weights.to(values.dtype), values).to(wide), log_sum)

    def _scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        wide = torch.promote_types(queries.dtype, torch.float32)
        scores = torch.matmul(queries, keys.transpose(-1, -2)).to(wide)
        if self._softcap is not None:
            scores.div_(self._softcap).tanh_().mul_(self._softcap)
        return scores

    def _exact(self, rows: slice, seen: slice, *, causal: bool) -> Part:
        queries, parts = self._own(rows), []
        for start in range(0, queries.shape[1], _ROWS):
            own = queries[:, start : start + _ROWS]
            count = own.shape[1]
            stop = seen.start + start + count if causal else seen.stop
            scores = self._scores(own, self._keys[seen.start : stop])
            if causal:
                future = scores.new_full((count, count), -torch.inf).triu_(1)
                scores[..., -count:].add_(future)
            parts.append(self._part(scores, self._values[seen.start : stop]))
            self.pairs += count * (stop - seen.start) - causal * count * (count - 1) / 2
            pause()
        return Part(*(torch.cat(held, 1) for held in zip(*map(_fields, parts), strict=True)))

    def _estimated(self, rows: slice, seen: slice) -> Part:
        """Block i of the sorted queries over block i of the sorted keys, and over the sample."""
        rule, queries = self._rule, self._own(rows)
        keys, values = self._keys[seen], self._values[seen]
        order = _buckets(keys, rule.hashes).argsort(stable=True)
        query_order = _buckets(queries, rule.hashes).argsort(stable=True, dim=-1)
        blocks = -(-len(keys) // rule.block)
        tile = -(-queries.shape[1] // blocks)
        wanted = query_order[..., None].expand(-1, -1, queries.shape[-1])
        padding = blocks * tile - queries.shape[1]
        own = F.pad(queries.gather(1, wanted), (0, 0, 0, padding))
        own = own.view(len(own), blocks, tile, -1)
        found = self._within_blocks(own, keys[order], values[order])
        if rule.sample:
            found = found.merged(self._sampled(own, keys, values, order))
        bits = rule.hashes.shape[1]
        self.pairs += queries.shape[1] * estimated_pairs(len(keys), rule.block, rule.sample, bits)
        pause()
        return Part(*(_unsorted(held.flatten(1, 2), query_order) for held in _fields(found)))

    def _within_blocks(self, own: Tensor, keys: Tensor, values: Tensor) -> Part:
        """Queries [G, blocks, tile, D] over the block of the sorted keys at their place."""
        block, count = self._rule.block, len(keys)
        padding = (0, 0, 0, own.shape[1] * block - count)
        blocked = [F.pad(held, padding).view(-1, block, held.shape[1]) for held in (keys, values)]
        scores = self._scores(own, blocked[0])
        place = torch.arange(own.shape[1] * block, device=keys.device).view(-1, 1, block)
        return self._part(scores.masked_fill_(place >= count, -torch.inf), blocked[1])

    def _sampled(self, own: Tensor, keys: Tensor, values: Tensor, order: Tensor) -> Part:
        """The same queries over samples that stand for the keys outside of their block."""
        rule, count = self._rule, len(keys)
        if not rule.weighted:
            return self._part(self._scores(own, keys[: rule.sample]), values[: rule.sample])
        drawn = torch.randint(count, (rule.sample,), generator=rule.draws).to(keys.device)
        scores = self._scores(own, keys[order[drawn]])
        block = torch.arange(own.shape[1], device=keys.device)[:, None, None]
        part = self._part(
            scores.masked_fill_(drawn // rule.block == block, -torch.inf), values[order[drawn]]
        )
        return Part(part.out, part.log_sum + math.log(count / rule.sample))


def _fields(part: Part) -> tuple[Tensor, Tensor]:
    return part.out, part.log_sum


def _unsorted(held: Tensor, order: Tensor) -> Tensor:
    """Rows [G, T.., n] of sorted queries in the places of `order` [G, T]; padding is dropped."""
    wanted = order[..., None].expand(-1, -1, held.shape[-1])
    own = held[:, : order.shape[1]]
    return torch.empty_like(own).scatter_(1, wanted, own)


def _buckets(vectors: Tensor, hashes: Tensor) -> Tensor:
    """The buckets [..] of vectors [.., D]; neighbouring buckets differ in the sign of one bit."""
    wide = torch.promote_types(vectors.dtype, torch.float32)
    signs = vectors.to(wide) @ hashes.to(vectors.device, wide) > 0
    bits = hashes.shape[1]
    code = (signs * (1 << torch.arange(bits, device=vectors.device))).sum(-1)
    # The place of a code on the reflected Gray code: each bit is the parity of those above it.
    shift = 1
    while shift < bits:
        code = code ^ (code >> shift)
        shift *= 2
    return code

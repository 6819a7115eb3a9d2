"""Caches without parts of a text: which tokens they hold, and how the text behind is re-encoded.

Dropped entries leave no gap: later tokens take their positions. So the cache equals that of a
prefill of the kept text.
"""

from __future__ import annotations

from collections.abc import Sequence as Tokens

from forethought.backends.local.candidate_cache import CachedCandidate, CandidateCaches
from forethought.backends.verdict_prefixes import common_prefix
from forethought.contracts.backend import Request
from forethought.contracts.candidates import Candidate, Spans
from forethought.cost.flops import causal_pairs, forward_flops
from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.final_states import FinalStates
from forethought.engine.meter import Meter
from forethought.engine.sequence import Prefill, Sequence, SequenceStart
from forethought.models.tokenization.tokenizer import Tokenizer
from forethought.prefill.prepare import PreparedPrompt


def dropped_tokens(
    tokenizer: Tokenizer, candidate: Candidate, spans: Spans | None = None
) -> frozenset[int]:
    """The places of the tokens inside the candidate's dropped parts, or inside these spans.

    A token that a part holds only half of stays.
    """
    spans = candidate.dropped if spans is None else spans
    if not spans:
        return frozenset()
    decoding, end, found = tokenizer.decoding(), 0, []
    for place, token in enumerate(candidate.token_ids):
        start, end = end, end + len(decoding.push(token))
        if any(first <= start and end <= last for first, last in spans):
            found.append(place)
    return frozenset(found)


def kept_places(
    tokenizer: Tokenizer, candidate: Candidate, spans: Spans | None = None
) -> list[int]:
    """The places of the tokens that the candidate's cache holds, or one without these spans."""
    dropped = dropped_tokens(tokenizer, candidate, spans)
    return [place for place in range(len(candidate.token_ids)) if place not in dropped]


def kept_tokens(tokenizer: Tokenizer, candidate: Candidate) -> list[int]:
    """The tokens that the candidate's cache holds."""
    return [candidate.token_ids[place] for place in kept_places(tokenizer, candidate)]


def encoding_flops(request: Request, prompt: PreparedPrompt) -> float:
    """Most FLOPs to encode the kept text again behind the prompt."""
    shape, past = prompt.target.shape, len(prompt.prompt)
    fresh = len(kept_places(prompt.target.tokenizer, request.parent))
    pairs = [causal_pairs(past, fresh, layer.window) for layer in shape.layers]
    return forward_flops(shape, fresh, pairs, logits=1)


class Reencoding:
    """Makes the cache of a candidate from that of the same text with other parts dropped.

    The entries from the first part that differs are dropped, and the kept tokens behind it are
    prefilled again at the positions that follow.
    """

    def __init__(self, base: CachedCandidate, cache: SequenceCache, tokens: Tokens[int]) -> None:
        """`tokens` follow those of the cache, which lacks all that was behind."""
        self._cache, self._tokens = cache, tokens
        self.candidate = CachedCandidate(
            cache,
            newest=tokens[-1],
            root=base.root,
            one_segment=base.one_segment,
            encoded=len(tokens),
        )

    @classmethod
    def of(
        cls, request: Request, caches: CandidateCaches, tokenizer: Tokenizer, *, alone: bool
    ) -> Reencoding | None:
        """The one that a request needs; None if no cache of its text is left.

        If the request is `alone` in its run, the entries leave the memory at once.
        """
        parent = request.parent
        if not parent.dropped or (found := caches.alike(request.place)) is None:
            return None
        (*_, spans), base = found
        before, after = (kept_places(tokenizer, parent, one) for one in (spans, parent.dropped))
        held = len(before) - (not base.closed)
        # The newest token is encoded in any case, for its logits.
        common = min(common_prefix(before, after), held, len(after) - 1)
        cache = base.own_cache() if alone and not base.taken else base.snapshot()
        if held - common > len(cache.tail.positions):
            return None
        caches.forget(cache)
        cache.drop_newest(held - common)
        return cls(base, cache, [parent.token_ids[place] for place in after[common:]])

    def sequence(self, prompt: PreparedPrompt, meter: Meter) -> Sequence:
        """The sequence whose prefill encodes the tokens; it decodes none."""

        def encode() -> None:
            meter.track_peak([self._cache])
            shown = FinalStates()
            logits = Batch(prompt.network, meter, final=shown).prefill(self._cache, self._tokens)
            self.candidate.take_logits(logits, shown.last)

        return Sequence(prompt.network, meter, self._open, prefill=Prefill(encode), max_tokens=0)

    def _open(self) -> SequenceStart:
        return SequenceStart(self._cache, self.candidate.logits)

"""Writing answers token by token, many rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from forethought.engine.batch import Batch, NewTokens
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.decode_eviction import DecodeEviction
from forethought.engine.meter import Meter
from forethought.engine.sampling import SampledToken, SamplingParams, choose


@dataclass
class Stream:
    """One answer in the making."""

    row: SequenceCache
    sampling: SamplingParams
    candidate: int = 0
    limit: int = 256
    """Most tokens to write."""
    ends: frozenset[int] = frozenset()
    """Tokens that end the answer; they are not part of it."""
    written: list[int] = field(default_factory=list)
    steps: int = 0
    """Tokens that were read back to continue."""
    full: str = "length"
    """How an answer of `limit` tokens is said to have ended."""
    meter: Meter | None = None
    """Whom to charge; whoever runs the batch when None."""
    review: DecodeEviction | None = None
    """What decides, as the answer grows, which entries stay."""
    finish: str = ""
    """Empty while alive; then stop, `full`, or what `end` was told."""

    def end(self, why: str) -> None:
        """Write no more."""
        self.finish = self.finish or why

    def stepped(self, meter: Meter) -> None:
        """Note that the last token was read back; `meter` is charged where no other is."""
        self.steps += 1
        if self.review is not None:
            self.review.after_step(self.row, self.meter or meter)

    def take(self, choice: SampledToken) -> bool:
        """Accept a chosen token; False when it ends the answer."""
        if choice.token in self.ends:
            self.end("stop")
            return False
        self.written.append(choice.token)
        if len(self.written) >= self.limit:
            self.end(self.full)
        return True


@dataclass(frozen=True)
class Emitted:
    """A token that a stream wrote."""

    stream: Stream
    choice: SampledToken


def write(batch: Batch, streams: Sequence[Stream], logits: Tensor) -> Iterator[Emitted]:
    """Continue all streams from logits [R, V] until each has ended.

    The caller may `end` a stream between tokens, or close the iterator to cancel.
    """
    alive = list(streams)
    while alive:
        for stream, scores in zip(alive, logits, strict=True):
            choice = choose(scores, stream.sampling, stream.candidate, len(stream.written))
            if stream.take(choice):
                (stream.meter or batch.meter).count("output", 1)
                yield Emitted(stream, choice)
        alive = [stream for stream in alive if not stream.finish]
        if alive:
            parts = [NewTokens(s.row, [s.written[-1]], meter=s.meter) for s in alive]
            logits = batch.forward(parts, phase="decode")
            for stream in alive:
                stream.stepped(batch.meter)

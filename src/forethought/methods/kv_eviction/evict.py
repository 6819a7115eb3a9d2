"""Keep cache entries by any importance, under any allocation, once or repeatedly.

Paper: none of its own; every published eviction here is a point among these settings.
Published: ours (own name); a frame for every combination of importance and allocation.
Exact: when keep reaches the prompt's length and every=0. Below it, the answer cannot see dropped
entries.
Cost: that of the importance chosen. own-lookahead, reconstruction and allocation=global hold the
whole cache until they choose. So do far-heads, repeating-heads, stated-heads and the allocation
whole-heads. Neither they nor draft can evict during decode. draft, accumulated, expected, compact
and predicted do not combine with allocation=global or whole-heads.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from forethought import catalogue
from forethought.contracts.parameters import Count, CountOrZero, FileIn, OddCount, Share
from forethought.methods.kv_eviction._eviction import DecodeEvicting, Eviction
from forethought.methods.kv_eviction.importance.window import WindowAttention

_FAMILY = "forethought.methods.kv_eviction"


@dataclass(frozen=True)
class Evict(DecodeEvicting):
    """A free choice of importance, allocation and time."""

    revision: ClassVar[int] = 2
    """In the first revision, `chunks` never exceeded the budget, and entries that always stay did
    not count towards the first share of `critical`."""

    importance: Annotated[str, FileIn("methods/kv_eviction/importance")] = "window"
    """Score of an entry; the entries of highest score stay."""
    allocation: Annotated[str, FileIn("methods/kv_eviction/allocation")] = "uniform"
    """Division of the budget over layers and heads; adaptive is over the heads of a layer."""
    # Declared again, since its place in spellings is here.
    every: CountOrZero = 0
    """Decoded tokens between two evictions; keep includes them. 0 evicts once, after prefill."""
    window: Count = 32
    """Last tokens, which always stay; window, draft and own-lookahead score with them."""
    sinks: CountOrZero = 4
    """First entries, which always stay."""
    kernel: OddCount = 7
    """Width of the pooling kernel over attention scores, in entries."""
    pool: Literal["max", "mean"] = "max"
    """Pooling of attention scores."""
    lookahead: Count | None = None
    """Tokens of draft (the answer's limit by default) or own-lookahead (8 by default)."""
    future: Count = 512
    """Positions after the text over which expected averages queries."""
    chunk: Count = 2048
    """Tokens that reconstruction repeats at a time."""
    alpha: Share = 0.2
    """Share of the average budget that adaptive guarantees to every head."""
    beta: Count = 20
    """Steepness of a pyramid."""
    seed: CountOrZero = 0
    """Seed of random and compact."""
    heads: str = ""
    """Text file of head scores for stated-heads: a line a layer, a number a KV head."""
    predictor: str = ""
    """Safetensors file of the maps for predicted, as for kvzap."""

    def eviction(self) -> Eviction:
        """The importance and the allocation of these names, from the settings they share."""
        first = Eviction(
            self,
            WindowAttention(self.window, self.kernel, self.pool),
            newest=self.window,
            sinks=self.sinks,
        )
        return Eviction(
            self,
            self._part("importance", self.importance, first),
            self._part("allocation", self.allocation, first),
            newest=self.window,
            sinks=self.sinks,
            lookahead=self.lookahead,
        )

    def _part(self, folder: str, name: str, first: Eviction) -> Any:
        """An importance or allocation: fields take the settings of their name, or defaults."""
        kind = _class(folder, name)
        settings = {**vars(self), "first": first}
        given = {one.name: settings.get(one.name) for one in fields(kind)}
        return kind(**{name: value for name, value in given.items() if value is not None})


@cache
def _class(folder: str, name: str) -> Any:
    """The class in the file of this name in a folder beside this file."""
    files = catalogue.MethodFile(_FAMILY, Path(__file__).parent).files()
    known = {file.name: file for file in files if file.family == folder}
    return catalogue.among(known, name, folder).load()

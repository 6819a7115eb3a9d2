"""Records that all parts of the package share: cost, shapes, prompt, events, run."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import accumulate
from typing import Any, Literal

LimitKind = Literal["tokens", "seconds", "flops", "usd"]
"""The units of a budget."""


@dataclass(frozen=True)
class Cost:
    """The cost of a run; a budget has the same type."""

    prompt_tokens: int = 0
    """Prompt tokens that the target prefilled, and tokens behind dropped text, encoded again."""
    cached_tokens: int = 0
    """Prompt tokens found in the KV cache."""
    output_tokens: int = 0
    """Tokens that the target decoded."""
    scoring_tokens: int = 0
    """Tokens processed only to score candidates."""
    draft_tokens: int = 0
    """Tokens that a draft prefilled or decoded."""
    flops: float = 0.0
    """Floating-point operations."""
    bytes_moved: float = 0.0
    """Bytes of weights and cache read."""
    seconds: float = 0.0
    """Wall time."""
    peak_cache_bytes: int = 0
    """Peak bytes of the KV cache."""
    usd: float | None = None
    """US dollars; None without a price."""
    verified_tokens: int = 0
    """Drafted tokens of answers, which decode passes verified."""
    accepted_tokens: int = 0
    """Verified tokens that an answer took."""
    decode_passes: int = 0
    """Decode passes of the sequences with a drafter."""
    read_parameters: int = 0
    """Parameters that decode passes used, where these compute part of the MLP's neurons."""
    full_parameters: int = 0
    """The same with a pass of the full model for each decoded token."""

    @property
    def density(self) -> float | None:
        """The share of the parameters that decoding used; None unless a method leaves some out."""
        return self.read_parameters / self.full_parameters if self.full_parameters else None

    def document(self) -> dict[str, Any]:
        """The cost as plain JSON values; counts of drafts and neurons only where there are any."""
        left_out = () if self.decode_passes else _DRAFTING
        left_out = left_out if self.full_parameters else (*left_out, *_NEURONS)
        return {name: value for name, value in asdict(self).items() if name not in left_out}

    def plus(self, other: Cost) -> Cost:
        """The cost of both in sequence: sums, and the larger peak."""
        sums = {name: getattr(self, name) + getattr(other, name) for name in _SUMMED}
        peak = max(self.peak_cache_bytes, other.peak_cache_bytes)
        paid = [cost.usd for cost in (self, other) if cost.usd is not None]
        return Cost(**sums, peak_cache_bytes=peak, usd=sum(paid) if paid else None)

    def since(self, before: Cost) -> Cost:
        """The cost beyond an earlier one of the same run; a peak is no difference."""
        parts = {name: getattr(self, name) - getattr(before, name) for name in _SUMMED}
        usd = None if self.usd is None else self.usd - (before.usd or 0.0)
        return Cost(**parts, usd=usd)


_DRAFTING = ("verified_tokens", "accepted_tokens", "decode_passes")
_NEURONS = ("read_parameters", "full_parameters")
_SUMMED = tuple(f.name for f in fields(Cost) if f.name not in ("peak_cache_bytes", "usd"))


@dataclass(frozen=True)
class LayerShape:
    """The attention settings of one layer."""

    heads: int
    kv_heads: int
    head_dim: int
    scale: float
    """Factor on query·key before the softmax."""
    window: int | None = None
    """Sliding window: a query sees this many newest positions, itself included."""
    softcap: float | None = None
    """Scores are squashed to ±softcap by tanh."""


@dataclass(frozen=True)
class ModelShape:
    """The sizes of a decoder, enough to count its FLOPs and bytes."""

    layers: tuple[LayerShape, ...]
    hidden: int
    vocabulary: int
    context: int
    """Maximum positions the model was trained for."""
    layer_parameters: int
    """Parameters that a token uses in one layer (active experts only)."""
    head_parameters: int
    """Parameters of the output projection."""

    @property
    def parameters(self) -> int:
        """Parameters that a token uses in a pass."""
        return self.layer_parameters * len(self.layers) + self.head_parameters


@dataclass(frozen=True)
class Prompt:
    """A prompt as tokens of the target, with the indices that methods must keep."""

    tokens: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    """Character range of each token in `text`."""
    text: str
    protected: frozenset[int] = frozenset()
    """Indices into `tokens` that no method may drop: template and question."""
    origins: tuple[int, ...] = ()
    """The index of each token in the original prompt; empty while nothing is dropped."""
    content: tuple[int, int] = (0, 0)
    """Character range in `text` of the user's document and question."""
    positions: tuple[int, ...] = ()
    """The position ids of the tokens, ascending; consecutive from 0 if empty."""
    following: int = 0
    """With `positions`, the position id of the first token after the prompt."""
    lookahead: tuple[int, ...] | None = None
    """A guessed answer after the prompt, used only to score the prompt; it may be empty."""
    notes: tuple[str, ...] = ()
    """Facts about how the chat template took the messages."""

    def __len__(self) -> int:
        return len(self.tokens)

    def keep(self, indices: Sequence[int]) -> Prompt:
        """A prompt of these tokens alone, in this order, with consecutive positions."""
        before = self.origins or range(len(self.tokens))
        spans = [self.spans[i] for i in indices]
        shown = _Shown.of(spans)
        return replace(
            self,
            tokens=tuple(self.tokens[i] for i in indices),
            spans=tuple((shown.place(a), shown.place(b)) for a, b in spans),
            text=shown.text(self.text),
            content=(shown.place(self.content[0]), shown.place(self.content[1])),
            protected=frozenset(n for n, i in enumerate(indices) if i in self.protected),
            origins=tuple(before[i] for i in indices),
            positions=(),
            following=0,
        )

    def keep_in_place(self, indices: Sequence[int]) -> Prompt:
        """As `keep`, but tokens, and the answer after them, keep their position ids."""
        before = self.positions or range(len(self.tokens))
        return replace(
            self.keep(indices),
            positions=tuple(before[i] for i in indices),
            following=self.following if self.positions else len(self.tokens),
        )

    @property
    def content_text(self) -> str:
        """The remaining document and question, without the chat template."""
        return self.text[slice(*self.content)]

    @property
    def end(self) -> int:
        """The position id of the first token after the prompt."""
        return self.following if self.positions else len(self.tokens)

    def places(self, count: int) -> Sequence[int]:
        """The position ids of the first `count` tokens of the prompt and its continuation."""
        if not self.positions:
            return range(count)
        later = range(self.following, self.following + count - len(self.positions))
        return [*self.positions[:count], *later]

    def with_lookahead(self, tokens: Sequence[int]) -> Prompt:
        """This prompt with a guessed answer for scoring."""
        return replace(self, lookahead=tuple(tokens))


@dataclass(frozen=True)
class _Shown:
    """The characters of a text that stay, as separate ascending ranges."""

    starts: list[int]
    stops: list[int]
    before: list[int]
    """Characters that stay before each range."""

    @classmethod
    def of(cls, spans: Sequence[tuple[int, int]]) -> _Shown:
        """The characters of any of these ranges."""
        starts: list[int] = []
        stops: list[int] = []
        for start, stop in sorted(spans):
            if stops and start <= stops[-1]:
                stops[-1] = max(stops[-1], stop)
            else:
                starts.append(start)
                stops.append(stop)
        sizes = (stop - start for start, stop in zip(starts, stops, strict=True))
        return cls(starts, stops, list(accumulate(sizes, initial=0)))

    def place(self, character: int) -> int:
        """The place of a character among those that stay."""
        n = bisect_right(self.starts, character) - 1
        return self.before[n] + min(character, self.stops[n]) - self.starts[n] if n >= 0 else 0

    def text(self, whole: str) -> str:
        """The text of the characters that stay."""
        ranges = zip(self.starts, self.stops, strict=True)
        return "".join(whole[start:stop] for start, stop in ranges)


@dataclass(frozen=True)
class TokenChance:
    """A token, its text and its log-probability."""

    token: int
    text: str
    log_probability: float


@dataclass(frozen=True)
class PromptLogprobs:
    """The log-probability of each prompt token after those before it, at temperature 1."""

    tokens: tuple[int, ...]
    log_probabilities: tuple[float | None, ...]
    """None for the first token, which nothing precedes."""
    top: tuple[tuple[tuple[int, float], ...], ...] = ()
    """The likeliest tokens in the place of each, with their log-probabilities; empty for the
    first."""

    def document(self) -> dict[str, Any]:
        """The log-probabilities as plain JSON values."""
        top = [
            [{"token": token, "log_probability": chance} for token, chance in likeliest]
            for likeliest in self.top
        ]
        chances = list(self.log_probabilities)
        return {"tokens": list(self.tokens), "log_probabilities": chances, "top": top}


@dataclass(frozen=True)
class Event:
    """An event of a run; `data` holds plain JSON values."""

    kind: str
    """stage · note · prompt · token · candidate · decision · done"""
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Kept:
    """The prompt tokens that the target prefilled, or the cache entries that remain."""

    prompt_tokens: int
    of: int
    positions: tuple[int, ...]
    """Positions in the original prompt, ascending; for a cache, the union over heads."""
    shares: tuple[float, ...] = ()
    """For a cache: the share of layers and heads that keep each of `positions`."""
    cache_bytes: int = 0
    """Bytes of the KV cache after prefill."""


@dataclass(frozen=True)
class Timing:
    """Seconds: load, time to first token, inter-token latency, and each stage."""

    load: float = 0.0
    first_token: float = 0.0
    per_token: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Exact:
    """The cost of the same question without approximations, counted from shapes."""

    flops: float
    cache_bytes: int


@dataclass(frozen=True)
class Run:
    """The result of a recipe on a question."""

    answer: str
    recipe: str
    seed: int
    finish: str
    """stop · length · interrupted · budget; servers add content_filter · refusal · tool_calls"""
    cost: Cost
    timing: Timing
    exact: Exact
    kept: Kept
    run: str
    """Identifier of this run."""
    confidence: dict[str, Any] | None = None
    candidates: tuple[dict[str, Any], ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    """Fields of the recipe that differ from their defaults and are not in its spelling."""
    notes: tuple[str, ...] = ()
    """Notes for the user, such as a draft that is skipped, and the reason."""
    decisions: tuple[dict[str, Any], ...] = ()
    """The decisions of a spending rule, each with its belief, prices and alternatives."""
    choices: tuple[dict[str, Any], ...] = ()
    """Settings that were chosen automatically, each with its reason and options."""

    def document(self) -> dict[str, Any]:
        """The run as plain JSON values."""
        density = self.cost.density
        shown = {} if density is None else {"density": round(density, 4)}
        return {**asdict(self), "cost": {**self.cost.document(), **shown}}

"""The parts of every eviction method: an importance, an allocation, and when to evict."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from math import ceil
from typing import TYPE_CHECKING

from forethought.contracts.errors import (
    MAKE_ANEW,
    BadParameterError,
    BudgetTooSmallError,
    ModelError,
)
from forethought.contracts.names import method_name
from forethought.contracts.parameters import CountOrZero, Keep, entries_kept
from forethought.contracts.records import Prompt
from forethought.contracts.roles import Approximation, Draft, Entries, FullCacheView, LayerView
from forethought.contracts.score_work import LayerSizes, PromptSizes, ScoreWork
from forethought.methods.kv_eviction._entries import (
    after_newest,
    entries_left,
    entry_places,
    whole_places,
)
from forethought.methods.kv_eviction.allocation import Allocation, LayerRoom
from forethought.methods.kv_eviction.allocation.uniform import Uniform
from forethought.methods.kv_eviction.importance import Importance, LayerImportance
from forethought.numerics.late_imports import torch

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Evicting(Approximation):
    """An eviction method: a subclass names its parts in `eviction`, and every hook uses them."""

    keep: Keep = 1024
    """KV-cache entries per layer and head, on average: a count, or a share of the prompt."""
    _: KW_ONLY
    protect: bool = True
    """Always keep the chat template and the question."""

    @abstractmethod
    def eviction(self) -> Eviction:
        """The parts of this method."""

    def pays(self, prompt_length: int) -> bool:
        """Whether the method drops any entry."""
        return self.eviction().pays(prompt_length)

    def check_room(self, prompt: Prompt) -> None:
        """Raise BudgetTooSmallError if the entries that must stay exceed `keep`."""
        if self.pays(len(prompt)):
            self.eviction().check_room(prompt)

    def uses_draft(self) -> bool:
        """Whether a draft runs."""
        return self.eviction().importance.looks_ahead

    def lookahead_tokens(self, answer_tokens: int) -> int:
        """Most tokens that the draft decodes for the target's prefill."""
        return (self.eviction().lookahead or answer_tokens) if self.uses_draft() else 0

    def score_work(self, prompt: PromptSizes) -> ScoreWork:
        """The work of scoring the prompt's entries."""
        return self.eviction().importance.score_work(prompt)

    def rescore_flops(self, layer: LayerSizes) -> float:
        """FLOPs of the scores of one layer at an eviction during decode."""
        importance = self.eviction().importance
        assert isinstance(importance, LayerImportance), "others do not score during decode"
        return importance.layer_flops(layer)

    def uncounted(self) -> str:
        """The part of the cost that sizes do not fix."""
        eviction = self.eviction()
        return eviction.importance.uncounted() or eviction.allocation.uncounted()

    def evicts(self) -> bool:
        """Whether cache entries are dropped."""
        return True

    def entries_after(self, prompt_length: int, layers: int) -> float:
        """`keep`, or the whole prompt if it is shorter."""
        return min(prompt_length, self.entries_left(prompt_length, layers))

    def entries_left(self, prompt_length: int, layers: int) -> float:
        """`keep`, without the tokens until the next eviction."""
        return entries_left(self.keep, self.evicts_every(), prompt_length)

    def entries_beyond(self, layers: int) -> float:
        """Most entries of a layer beyond `keep`, on average."""
        return self.eviction().allocation.entries_beyond(layers)

    def needs_all_queries(self) -> bool:
        """Whether `on_layer` reads more queries than the last few hundred."""
        return self.eviction().importance.needs_all_queries

    def reads_inputs(self) -> bool:
        """Whether `on_layer` reads the inputs of attention during decode."""
        return self.eviction().importance.reads_inputs

    def newest_queries(self) -> int | None:
        """Newest prompt tokens whose queries score; None for all."""
        return self.eviction().importance.newest_queries

    def sees_whole_cache(self) -> bool:
        """Whether `on_cache` chooses, after the whole prefill."""
        return self.eviction().sees_whole_cache()

    def on_prompt(self, prompt: Prompt, draft: Draft, answer_tokens: int) -> Prompt:
        """The prompt to prefill, with the draft's look-ahead if the importance needs it."""
        return self.eviction().prepared(prompt, draft, answer_tokens)

    def on_layer(self, view: LayerView) -> Entries | None:
        """The entries of a layer to keep, or None for all."""
        return self.eviction().on_layer(view)

    def on_cache(self, cache: FullCacheView) -> Sequence[Entries] | None:
        """The entries of every layer to keep, or None for all."""
        return self.eviction().on_cache(cache)


@dataclass(frozen=True)
class DecodeEvicting(Evicting):
    """An eviction method that may also evict during decode."""

    _: KW_ONLY
    every: CountOrZero = 0
    """Decoded tokens between two evictions; keep includes them. 0 evicts once, after prefill."""

    def evicts_every(self) -> int:
        """Decoded tokens between two calls of `on_layer`; 0 for none."""
        return self.every


@dataclass(frozen=True)
class Eviction:
    """The parts of an eviction method; a published method fixes some of them."""

    method: Evicting
    """The budget, the protection and the name in errors are this method's."""
    importance: Importance
    allocation: Allocation = field(default_factory=Uniform)
    newest: int | float = 0
    """Newest entries that always stay: a count, or a share of the budget."""
    newest_name: str = "window"
    """The method's parameter for `newest`, for errors."""
    sinks: int = 0
    """First entries that always stay."""
    lookahead: int | None = None
    """Most tokens that are decoded for an importance that looks ahead."""

    @property
    def name(self) -> str:
        """The method's name."""
        return method_name(type(self.method))

    @property
    def _every(self) -> int:
        return self.method.evicts_every()

    def pays(self, length: int) -> bool:
        """Whether the method drops an entry of a prompt of this length, or of its answer."""
        return self._every > 0 or entries_kept(self.method.keep, length) < length

    def budget(self, length: int) -> int:
        """Entries per head, on average, after an eviction.

        Less than `keep`, which also holds the tokens that follow until the next eviction.
        """
        return entries_left(self.method.keep, self._every, length) - self._repeated_tokens()

    def sees_whole_cache(self) -> bool:
        """Whether the choice needs the whole cache."""
        return self.allocation.spans_layers or not isinstance(self.importance, LayerImportance)

    def prepared(self, prompt: Prompt, draft: Draft, answer_tokens: int) -> Prompt:
        """The prompt to prefill; raises if the entries that must stay do not fit."""
        if not self.pays(len(prompt)):
            return prompt
        self.check(prompt)
        if not self.importance.looks_ahead or prompt.lookahead is not None:
            return prompt  # another method of the recipe may have asked the draft already
        most = self.lookahead or answer_tokens
        what = ("look-ahead", most)
        guess = draft.recall(what, prompt, lambda: _drafted(prompt, draft, most))
        return prompt.with_lookahead(guess)

    def check(self, prompt: Prompt) -> None:
        """Raise BadParameterError or BudgetTooSmallError for parts or budgets that cannot work."""
        self._check_parts()
        self.importance.check(prompt)
        self.check_room(prompt)

    def check_room(self, prompt: Prompt) -> None:
        """Raise BudgetTooSmallError if the entries that must stay exceed the budget."""
        budget = self.budget(len(prompt))
        newest = self._newest(budget)
        # During decode the window moves on, so it no longer covers protected tokens.
        until = len(prompt) - (0 if self._every else newest + self._repeated_tokens())
        outside = sum(self.sinks <= place < until for place in self._protected(prompt.protected))
        fixed = newest + self.sinks
        if budget > fixed and budget >= fixed + outside:
            return
        always = {self.newest_name: self.newest, "sinks": self.sinks, "every": self._every}
        always = {name: value for name, value in always.items() if value}
        stated = " and ".join(f"{name}={value}" for name, value in always.items())
        takes = f", of which {stated} takes {fixed + self._every}" if always else ""
        more = f", and what must stay needs {outside} more" if outside else ""
        raise BudgetTooSmallError(
            f"{self.name} keeps {budget + self._entries_to_come()} entries{takes}{more}",
            ", ".join(self._ways_out(outside, list(always))),
        )

    def _ways_out(self, outside: int, always: list[str]) -> list[str]:
        """The changes that make the budget fit."""
        ways = []
        if isinstance(self.newest, int):
            least = self.newest + self.sinks + max(outside, 1)
            ways = [f"keep {least + self._entries_to_come()} or more"]
        elif self.newest < 1:  # a share grows with what is kept
            least = ceil((self.sinks + outside + 1.5) / (1 - self.newest))
            ways = [f"keep {least + self._entries_to_come()} or more"]
        ways += [f"use a smaller {' or '.join(always)}"] if always else []
        return [*ways, "or protect=false"] if outside else ways

    def on_layer(self, view: LayerView) -> Entries | None:
        """The entries of a layer to keep; None for all."""
        assert isinstance(self.importance, LayerImportance), "on_cache chooses for the others"
        places = entry_places(view)
        # Scored even if nothing is dropped yet: H2O sums its scores over calls.
        scores = self.importance.score_layer(view, places)
        if self._end(view, places) <= self.budget(view.prompt_length):
            return None
        layer = self._layer_cut(view, places, scores)
        kept = layer.kept(self.allocation.counts([layer.room])[0])
        return None if sum(map(len, kept)) == int((places >= 0).sum()) else kept

    def on_cache(self, cache: FullCacheView) -> Sequence[Entries] | None:
        """The entries of every layer to keep; None for all."""
        if not self.pays(len(cache.prompt)):
            return None
        scores = self.importance.score_cache(cache)
        layers = [
            self._layer_cut(view, whole_places(view), own)
            for view, own in zip(cache.layers, scores, strict=True)
        ]
        counts = self.allocation.counts([layer.room for layer in layers])
        return [layer.kept(own) for layer, own in zip(layers, counts, strict=True)]

    def _layer_cut(self, view: LayerView, places: Tensor, scores: Tensor) -> _LayerCut:
        budget, end = self.budget(view.prompt_length), self._end(view, places)
        wanted = sorted(self._protected(view.protected))
        protected = torch.tensor(wanted, dtype=torch.long, device=places.device)
        stays = (places < self.sinks) | (places >= end - self._newest(budget))
        held = (places >= 0) & (places < end)
        stays = held & (stays | torch.isin(places, protected))
        free = held & ~stays
        if not bool(scores[free].isfinite().all()):
            raise ModelError(
                f"{self.name}: scores of layer {view.layer} are not all numbers", MAKE_ANEW
            )
        fixed = int(stays.sum(1).max())
        if fixed > budget:
            raise BudgetTooSmallError(
                f"{self.name} keeps {budget} entries, but {fixed} must stay",
                f"keep {fixed + self._entries_to_come() + 1} or more, or use protect=false",
            )
        ranked = scores.masked_fill(~free, -torch.inf)
        room = LayerRoom(view.layer, view.layers, budget - fixed, end - fixed, ranked, fixed)
        share = self.importance.first_share
        second = self.importance.second_scores(view, scores) if share < 1 else scores
        return _LayerCut(stays, self.allocation.arranged(room, places), second, share)

    def _end(self, view: LayerView, places: Tensor) -> int:
        """The place after the last entry that may stay."""
        return view.prompt_length - 1 if self._repeated_tokens() else after_newest(places)

    def _newest(self, budget: int) -> int:
        return self.newest if isinstance(self.newest, int) else round(self.newest * budget)

    def _protected(self, places: frozenset[int]) -> frozenset[int]:
        return places if self.method.protect else frozenset()

    def _entries_to_come(self) -> int:
        """Entries that are added before the next eviction."""
        return self._every + self._repeated_tokens()

    def _repeated_tokens(self) -> int:
        """Tokens at the prompt's end that the target reads again, after the look-ahead."""
        return int(self.importance.looks_ahead)

    def _check_parts(self) -> None:
        """Raise BadParameterError if importance, allocation and `every` do not combine."""
        importance = self.importance
        if self._every and (self.sees_whole_cache() or importance.looks_ahead):
            raise BadParameterError(
                f"{self.name} cuts every {self._every} tokens, but can only score a whole prompt",
                "use every=0, or an importance and an allocation that look at one layer",
            )
        if self.allocation.spans_layers and (
            importance.looks_ahead or importance.needs_all_queries
        ):
            raise BadParameterError(
                f"{self.name} shares entries out over all layers at once, but its importance "
                "is only known while a layer is read",
                "use another allocation or importance",
            )


@dataclass(frozen=True)
class _LayerCut:
    """The eviction of one layer."""

    stays: Tensor
    """[K, E]: the entries that stay whatever their score."""
    room: LayerRoom
    second: Tensor
    """[K, E]: the scores that choose after the first share."""
    first_share: float
    """Share of the entries that stay or are chosen, before the second scores choose."""

    def kept(self, counts: Sequence[int]) -> list[Tensor]:
        """Per head, the entries that stay and the `count` best; ties go to the lower index."""
        chosen = self.stays.clone()
        firsts = list(counts)
        if self.first_share < 1:
            fixed = self.stays.sum(1).tolist()
            shares = [
                int((n + own) * self.first_share) for n, own in zip(counts, fixed, strict=True)
            ]
            firsts = [max(0, share - own) for share, own in zip(shares, fixed, strict=True)]
        _choose(chosen, self.room.scores, firsts)
        if firsts != list(counts):
            left = self.room.scores.isfinite() & ~chosen
            rest = [count - first for count, first in zip(counts, firsts, strict=True)]
            _choose(chosen, self.second.masked_fill(~left, -torch.inf), rest)
        return [head.nonzero().flatten() for head in chosen]


def _choose(chosen: Tensor, scores: Tensor, counts: Sequence[int]) -> None:
    """Add the `count` best entries of each head to `chosen` [K, E]."""
    ranked = scores.sort(dim=-1, descending=True, stable=True).indices
    for head, best, count in zip(chosen, ranked, counts, strict=True):
        head[best[:count]] = True


def _drafted(prompt: Prompt, draft: Draft, most: int) -> list[int]:
    return draft.read(prompt, _keep_all, lookahead=most, queries=0)


def _keep_all(view: LayerView) -> None:
    """Evict nothing."""

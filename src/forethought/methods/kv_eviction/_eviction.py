"""What every method of this family is made of: importance × allocation × when."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil

import torch
from torch import Tensor

from forethought.contracts.errors import (
    MAKE_ANEW,
    BadParameterError,
    BudgetTooSmallError,
    ModelError,
)
from forethought.contracts.parameters import Amount, entries_kept
from forethought.contracts.records import Prompt
from forethought.contracts.roles import Approximation, Draft, Entries, FullCacheView, LayerView
from forethought.methods.kv_eviction._entries import after_newest, entry_places, whole_places
from forethought.methods.kv_eviction.allocation import Allocation, LayerRoom
from forethought.methods.kv_eviction.allocation.uniform import Uniform
from forethought.methods.kv_eviction.importance import Importance, LayerImportance


@dataclass(frozen=True)
class Eviction:
    """A way to drop cache entries; a published method fixes some of these fields."""

    method: str
    """Its name, for errors."""
    keep: Amount
    importance: Importance
    allocation: Allocation = field(default_factory=Uniform)
    newest: int | float = 0
    """Newest entries that always stay: a count, or a share of what is kept."""
    newest_name: str = "window"
    """What the method calls them."""
    sinks: int = 0
    """First entries that always stay."""
    every: int = 0
    """Tokens written between two cuts; 0 cuts once, after the prompt."""
    protect: bool = True
    lookahead: int | None = None
    """Tokens that a draft writes at most, where the importance looks ahead."""

    def pays(self, length: int) -> bool:
        """Whether anything would be dropped from a prompt, or from the answer behind it."""
        return self.every > 0 or entries_kept(self.keep, length) < length

    def budget(self, length: int) -> int:
        """Entries a head has on average after a cut: never more than `keep` until the next.

        Nor once the prompt's last token was read again, where it is.
        """
        if self.every and isinstance(self.keep, int):
            return self.keep - self.every  # the answer may outgrow a prompt that is shorter
        return entries_kept(self.keep, length) - self._later()

    def sees_whole_cache(self) -> bool:
        """Whether the prompt must have been read whole."""
        return self.allocation.spans_layers or not isinstance(self.importance, LayerImportance)

    def prepared(self, prompt: Prompt, draft: Draft, answer_tokens: int) -> Prompt:
        """The prompt to read, once everything that must stay is seen to fit."""
        if not self.pays(len(prompt)):
            return prompt
        self.check(prompt)
        if not self.importance.looks_ahead or prompt.lookahead is not None:
            return prompt  # another method of the recipe may have had it written
        most = self.lookahead or answer_tokens
        what = ("look-ahead", most)
        guess = draft.recall(what, prompt, lambda: draft.read(prompt, _look_only, lookahead=most))
        return prompt.with_lookahead(guess)

    def check(self, prompt: Prompt) -> None:
        """Raise BadParameterError or BudgetTooSmallError where this cannot be done."""
        self._check_parts()
        self.importance.check(prompt)
        budget = self.budget(len(prompt))
        newest = self._newest(budget)
        # Once the answer is written, what is protected no longer lies in the window.
        until = len(prompt) - (0 if self.every else newest + self._read_again())
        outside = sum(self.sinks <= place < until for place in self._protected(prompt.protected))
        fixed = newest + self.sinks
        if budget > fixed and budget >= fixed + outside:
            return
        always = {self.newest_name: self.newest, "sinks": self.sinks, "every": self.every}
        always = {name: value for name, value in always.items() if value}
        stated = " and ".join(f"{name}={value}" for name, value in always.items())
        takes = f", of which {stated} takes {fixed + self.every}" if always else ""
        more = f", and what must stay needs {outside} more" if outside else ""
        raise BudgetTooSmallError(
            f"{self.method} keeps {budget + self._later()} entries{takes}{more}",
            ", ".join(self._ways_out(outside, list(always))),
        )

    def _ways_out(self, outside: int, always: list[str]) -> list[str]:
        """What would make it fit."""
        ways = []
        if isinstance(self.newest, int):
            least = self.newest + self.sinks + max(outside, 1)
            ways = [f"keep {least + self._later()} or more"]
        elif self.newest < 1:  # a share grows with what is kept
            least = ceil((self.sinks + outside + 1.5) / (1 - self.newest))
            ways = [f"keep {least + self._later()} or more"]
        ways += [f"use a smaller {' or '.join(always)}"] if always else []
        return [*ways, "or protect=False"] if outside else ways

    def on_layer(self, view: LayerView) -> Entries | None:
        """The entries of a layer to keep; None where it has no more than that."""
        assert isinstance(self.importance, LayerImportance), "on_cache chooses for the others"
        places = entry_places(view)
        # Also where nothing is dropped yet: some carry their scores on.
        scores = self.importance.of_layer(view, places)
        if self._end(view, places) <= self.budget(view.prompt_length):
            return None
        layer = self._layer(view, places, scores)
        kept = layer.kept(self.allocation.counts([layer.room])[0])
        return None if sum(map(len, kept)) == int((places >= 0).sum()) else kept

    def on_cache(self, cache: FullCacheView) -> Sequence[Entries] | None:
        """The entries of every layer to keep; None for all."""
        if not self.pays(len(cache.prompt)):
            return None
        scores = self.importance.of_cache(cache)
        layers = [
            self._layer(view, whole_places(view), own)
            for view, own in zip(cache.layers, scores, strict=True)
        ]
        counts = self.allocation.counts([layer.room for layer in layers])
        return [layer.kept(own) for layer, own in zip(layers, counts, strict=True)]

    def _layer(self, view: LayerView, places: Tensor, scores: Tensor) -> _Layer:
        budget, end = self.budget(view.prompt_length), self._end(view, places)
        wanted = sorted(self._protected(view.protected))
        protected = torch.tensor(wanted, dtype=torch.long, device=places.device)
        stays = (places < self.sinks) | (places >= end - self._newest(budget))
        held = (places >= 0) & (places < end)
        stays = held & (stays | torch.isin(places, protected))
        free = held & ~stays
        if not bool(scores[free].isfinite().all()):
            raise ModelError(
                f"{self.method}: scores of layer {view.layer} are not all numbers", MAKE_ANEW
            )
        fixed = int(stays.sum(1).max())
        if fixed > budget:
            raise BudgetTooSmallError(
                f"{self.method} keeps {budget} entries, but {fixed} must stay",
                f"keep {fixed + self._later() + 1} or more, or use protect=False",
            )
        ranked = scores.masked_fill(~free, -torch.inf)
        return _Layer(
            stays, LayerRoom(view.layer, view.layers, budget - fixed, end - fixed, ranked)
        )

    def _end(self, view: LayerView, places: Tensor) -> int:
        """The place after the last entry that may be kept."""
        return view.prompt_length - 1 if self._read_again() else after_newest(places)

    def _newest(self, budget: int) -> int:
        return self.newest if isinstance(self.newest, int) else round(self.newest * budget)

    def _protected(self, places: frozenset[int]) -> frozenset[int]:
        return places if self.protect else frozenset()

    def _later(self) -> int:
        """Entries that are added before the next cut, or before the answer begins."""
        return self.every + self._read_again()

    def _read_again(self) -> int:
        """Tokens at the prompt's end that are read again after it."""
        return int(self.importance.looks_ahead)

    def _check_parts(self) -> None:
        """Raise BadParameterError where importance, allocation and `every` do not go together."""
        importance = self.importance
        if self.every and (self.sees_whole_cache() or importance.looks_ahead):
            raise BadParameterError(
                f"{self.method} cuts every {self.every} tokens, but can only score a whole prompt",
                "use every=0, or an importance and an allocation that look at one layer",
            )
        if self.allocation.spans_layers and (
            importance.looks_ahead or importance.needs_all_queries
        ):
            raise BadParameterError(
                f"{self.method} shares entries out over all layers at once, but its importance "
                "is only known while a layer is read",
                "use another allocation or importance",
            )


@dataclass(frozen=True)
class _Layer:
    """A layer about to be cut."""

    stays: Tensor
    """[K, E]: what is kept whatever its score."""
    room: LayerRoom

    def kept(self, counts: Sequence[int]) -> list[Tensor]:
        """Of each head what stays, and so many of its best; ties to the lower index."""
        ranked = self.room.scores.sort(dim=-1, descending=True, stable=True).indices
        for stays, best, count in zip(chosen := self.stays.clone(), ranked, counts, strict=True):
            stays[best[:count]] = True
        return [head.nonzero().flatten() for head in chosen]


def _look_only(view: LayerView) -> None:
    """Drop nothing."""


class Evicting(Approximation):
    """A method of this family: every hook as `eviction` says."""

    @abstractmethod
    def eviction(self) -> Eviction:
        """What it is made of."""

    def pays(self, prompt_length: int) -> bool:
        """Whether anything would be dropped."""
        return self.eviction().pays(prompt_length)

    def uses_draft(self) -> bool:
        """Whether a draft is run."""
        return self.eviction().importance.looks_ahead

    def evicts(self) -> bool:
        """Whether cache entries are dropped."""
        return True

    def needs_all_queries(self) -> bool:
        """Whether `on_layer` looks at more queries than the newest few hundred."""
        return self.eviction().importance.needs_all_queries

    def sees_whole_cache(self) -> bool:
        """Whether `on_cache` chooses, once the prompt was read whole."""
        return self.eviction().sees_whole_cache()

    def evicts_every(self) -> int:
        """Tokens written until `on_layer` is asked again; 0 for never."""
        return self.eviction().every

    def on_prompt(self, prompt: Prompt, draft: Draft, answer_tokens: int) -> Prompt:
        """The prompt to read, with a draft's guess behind it where that is scored by."""
        return self.eviction().prepared(prompt, draft, answer_tokens)

    def on_layer(self, view: LayerView) -> Entries | None:
        """The entries of a layer to keep, or None for all."""
        return self.eviction().on_layer(view)

    def on_cache(self, cache: FullCacheView) -> Sequence[Entries] | None:
        """The entries of every layer to keep, or None for all."""
        return self.eviction().on_cache(cache)

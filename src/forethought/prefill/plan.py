"""Which of a recipe's methods apply to a prompt, and in which order they may stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forethought.contracts.errors import UsageError
from forethought.contracts.neurons import ANY_NEURONS
from forethought.contracts.records import Prompt
from forethought.contracts.roles import Approximation, Network
from forethought.cost.flops import prefill_flops
from forethought.prefill.planning import PlannedDraft

if TYPE_CHECKING:
    from forethought.engine.cache.query_window import QueryWindow
    from forethought.engine.decode_eviction import DecodeEviction

Methods = Sequence[tuple[str, Approximation]]
"""Methods with their spellings."""

_ANY_LENGTH = 1 << 40  # tokens: above any budget in tokens
QUERY_WINDOW = 256  # newest queries that later evictions can use


@dataclass(frozen=True)
class PrefillPlan:
    """The methods that apply to a prompt, and notes on the models and on skipped methods."""

    applied: tuple[Approximation, ...]
    notes: tuple[str, ...] = ()
    outweighed: tuple[str, ...] = ()
    """Spellings of the methods that were skipped because of their drafts' cost."""
    drafting: Approximation | None = None
    """The method that drafts tokens of the answer; the prefill does not depend on it."""

    @property
    def evicting(self) -> Approximation | None:
        """The method that evicts cache entries, if any."""
        return next((method for method in self.applied if method.evicts()), None)

    @property
    def sparse_prefill(self) -> Approximation | None:
        """The method that makes prefill attention sparse, if any."""
        return next((method for method in self.applied if method.thins_attention()), None)

    @property
    def thinning(self) -> Approximation | None:
        """The method that computes part of the MLP's neurons in decode steps, if any."""
        return next((m for m in self.applied if m.active_neurons(ANY_NEURONS) is not None), None)

    @property
    def chooses_neurons(self) -> bool:
        """Whether the activations of the whole prompt choose these neurons."""
        method = self.thinning
        return method is not None and method.neuron_choice(ANY_NEURONS) is not None

    @property
    def bits(self) -> int:
        """Bits of a stored key or value."""
        return min([16, *(method.cache_bits() for method in self.applied)])

    @property
    def exact(self) -> bool:
        """Whether the cache keeps every entry as computed, so that sequences may share it."""
        return self.evicting is None and self.sparse_prefill is None and self.bits == 16

    @property
    def newest_queries(self) -> int | None:
        """Newest prompt tokens whose queries are used; None for all."""
        return 1 if self.evicting is None else self.evicting.newest_queries()

    def query_window(self, length: int) -> QueryWindow | None:
        """The query window of an answer's sequence; None unless it evicts during decode."""
        if self.evicting is None or not self.evicting.evicts_every():
            return None
        from forethought.engine.cache.query_window import QueryWindow  # plans need no torch

        count = max(QUERY_WINDOW, self.evicting.evicts_every())
        return QueryWindow(count, with_inputs=self.evicting.reads_inputs())

    @property
    def evicts_in_decode(self) -> bool:
        """Whether entries are evicted during decode."""
        return self.evicting is not None and self.evicting.evicts_every() > 0

    def compressed(self, prompt: Prompt, draft: PlannedDraft, answer_tokens: int) -> Prompt:
        """The prompt that the target prefills, shortened by the methods in order."""
        for method in self.applied:
            prompt = method.on_prompt(prompt, draft.serving(method), answer_tokens)
        return prompt

    def decode_eviction(self, network: Network, prompt: Prompt) -> DecodeEviction | None:
        """The evictions during an answer's decode; None if there are none."""
        method = self.evicting
        if method is None or not method.evicts_every():
            return None
        from forethought.engine.decode_eviction import DecodeEviction

        places = prompt.places(len(prompt))
        protected = frozenset(places[i] for i in prompt.protected)
        return DecodeEviction(
            method.on_layer, network, method.evicts_every(), prompt.end, protected
        )


def plan(
    methods: Methods,
    prompt: Prompt,
    draft: PlannedDraft,
    *,
    weighs_drafts: bool = True,
    predicted: bool = False,
) -> PrefillPlan:
    """Select the methods that drop something and whose drafts save more than they cost.

    Without `weighs_drafts`, drafts may cost more than they save. `predicted` says whether the
    client may predict the answer.
    """
    applied: list[Approximation] = []
    outweighed: list[str] = []
    notes = [*prompt.notes, *draft.notes]
    length = len(prompt)
    check_methods(methods)
    for name, method in methods:
        if method.drafts_answers():
            continue
        # A draft reads the prompt before it is shortened.
        if not method.pays(len(prompt) if method.thins_draft() else length):
            notes.append(f"{name} skipped: {method.idle(length)}")
        elif _lacks_draft(method, methods):
            notes.append(f"{name} skipped: no other method runs a draft")
        elif weighs_drafts and not _draft_pays(method, length, draft.serving(method)):
            notes.append(f"{name} skipped: its draft would cost more prefill FLOPs than it saves")
            outweighed.append(name)
        else:
            applied.append(method)
            length = method.reads(length)
    drafting = next((method for _, method in methods if method.drafts_answers()), None)
    if drafting is not None:
        own = draft.serving(drafting)
        lack = drafting.draft_lacks(own.name, applied, layers=own.layers, predicted=predicted)
        if lack:
            notes.append(f"nothing is drafted: {lack}")
            drafting = None
    return PrefillPlan(tuple(applied), tuple(notes), tuple(outweighed), drafting)


def takes_any_length(methods: Methods) -> bool:
    """Whether a prompt may be longer than the contexts of all models: no draft reads it whole."""
    for _, method in methods:
        if method.uses_draft():
            return False
        if method.reads(_ANY_LENGTH) < _ANY_LENGTH:
            return True
    return False


def check_methods(methods: Methods) -> None:
    """Raise UsageError if two methods conflict or an eviction comes before a shortening."""
    evicting = [name for name, method in methods if method.evicts()]
    sparse = [name for name, method in methods if method.thins_attention()]
    quantising = [name for name, method in methods if method.cache_bits() < 16]
    _check_single(methods)
    after = [name for name, method in methods if method.sees_whole_cache()]
    if after and sparse:
        raise UsageError(
            f"{after[0]} evicts after a dense prefill, but {sparse[0]} makes it sparse",
            "keep one of them",
        )
    guessing = [
        name for name, method in methods if method.thins_attention() and method.uses_draft()
    ]
    repeated = [name for name, method in methods if method.evicts_every()]
    if repeated and guessing:
        raise UsageError(
            f"{repeated[0]} evicts during decode by the newest queries, some of which belong to "
            f"the guess that {guessing[0]} decoded",
            "use every=0, or minference, which needs no guess",
        )
    if repeated and quantising:
        raise UsageError(
            f"{repeated[0]} evicts during decode, but {quantising[0]} quantises the entries",
            "use every=0, or leave one of them out",
        )
    inside = {*evicting, *sparse, *quantising}
    for place, (name, _) in enumerate(methods):
        later = [(one, m) for one, m in methods[place:] if one not in inside]
        shortening = [one for one, method in later if method.reads(_ANY_LENGTH) < _ANY_LENGTH]
        if name in inside and shortening:
            what = "drops cache entries" if name in evicting else "works on the cache"
            raise UsageError(
                f"{name} {what}, but stands before {shortening[0]}, which shortens the prompt",
                f"put {name} last",
            )


def _check_single(methods: Methods) -> None:
    """Raise UsageError if two methods do the same work."""
    built = [method for _, method in methods]
    counts = {
        "drop cache entries": sum(one.evicts() for one in built),
        "draft its answer": sum(
            one.drafts_answers() or one.correction() is not None for one in built
        ),
        "thin attention": sum(one.thins_attention() for one in built),
        "thin the draft's attention": sum(one.thins_draft() for one in built),
        "pack the cache": sum(one.cache_bits() < 16 for one in built),
        "thin the MLP": sum(one.active_neurons(ANY_NEURONS) is not None for one in built),
    }
    for what, count in counts.items():
        if count > 1:
            raise UsageError(
                f"two methods of one recipe {what}", "keep one of them, or run both apart"
            )


def _lacks_draft(method: Approximation, methods: Methods) -> bool:
    """Whether a method makes only a draft's prefill sparse, and there is none."""
    only = method.thins_draft() and not method.thins_attention()
    drafts = (other for _, other in methods if other.uses_draft() and not other.drafts_answers())
    return only and not any(drafts)


def _draft_pays(method: Approximation, length: int, draft: PlannedDraft) -> bool:
    """Whether a method that shortens the prompt saves more FLOPs than its draft spends.

    Methods that only evict entries always pay: they save memory.
    """
    remaining = method.reads(length)
    if draft.remote_target:
        return True
    if not method.uses_draft() or method.evicts() or remaining == length:
        return True
    if draft.target.for_length(length).shape.context <= length:
        return True  # the prompt would not fit without the method
    return total_prefill_flops([method], length, draft) < total_prefill_flops([], length, draft)


def total_prefill_flops(
    methods: Sequence[Approximation], length: int, draft: PlannedDraft
) -> float:
    """FLOPs of all drafts over a prompt, and of the target over the shortened prompt."""
    spent = 0.0
    for method in methods:
        if method.uses_draft():
            own = draft.serving(method)
            layers = method.draft_layers(own)
            stop = layers if layers < own.layers else None
            spent += prefill_flops(own.model.shape, length, stop)
        length = method.reads(length)
    return spent + prefill_flops(draft.target.shape, length)

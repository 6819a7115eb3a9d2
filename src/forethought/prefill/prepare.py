"""Prepares a prompt for its sequences: plan, byte budgets, shortening, context check, prefill.

Plain answers, samples, conversation turns, evaluations and searches all prepare their prompts here.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from forethought.contracts.backend import Opened
from forethought.contracts.errors import ForethoughtError
from forethought.contracts.records import Cost, Prompt, PromptLogprobs
from forethought.contracts.roles import Network
from forethought.cost.flops import entry_bytes, forward_flops
from forethought.engine.batch import Batch
from forethought.engine.cache.prefix_cache import prefix_key
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.decode_eviction import DecodeEviction
from forethought.engine.final_states import FinalStates
from forethought.engine.meter import Clock, Meter
from forethought.engine.sequence import Prefill
from forethought.models.hardware.sliced_task import pause
from forethought.models.model import Model
from forethought.prefill.answer_networks import AnswerNetworks
from forethought.prefill.byte_budgets import with_entry_budgets
from forethought.prefill.context_room import check_context, check_turn, room_note
from forethought.prefill.draft_model import DraftResults, ModelDraft
from forethought.prefill.plan import Methods, PrefillPlan, plan
from forethought.prefill.planned_reading import PlannedReading, share_readings
from forethought.prefill.prefill import PrefillResult, finished, prefill
from forethought.prefill.prefill_bound import PrefillBound
from forethought.prefill.prefill_reuse import PrefillReuse, PromptPrefix
from forethought.prefill.prompt_logprobs import scored_prefill
from forethought.prefill.shared_prefix import Branch, prefill_together, shared_key

if TYPE_CHECKING:
    from forethought.prefill.draft_writer import DraftedPrompt


@dataclass
class PreparedPrompt:
    """A prompt with its plan, and with its cache once it is prefilled."""

    target: Model
    """The target; after shortening, the target for sequences of this length."""
    prompt: Prompt
    """The whole prompt."""
    plan: PrefillPlan
    draft: ModelDraft
    meter: Meter
    """Charged for drafts and prefill alone."""
    answer_tokens: int
    """Maximum tokens of an answer."""
    past: SequenceCache | None = None
    """The cache of the conversation so far."""
    notes: tuple[str, ...] = ()
    short: Prompt | None = None
    """The prompt that the target prefills; set once the methods have shortened it."""
    result: PrefillResult | None = None
    room: int = 0
    """Maximum tokens of an answer after the prompt, by the model's context; set by `shorten`."""
    error: ForethoughtError | None = None
    """The error that prevents the prefill."""
    prefill: Prefill | None = None
    """The prefill in progress."""
    charged: bool = False
    """Whether a run has been charged for the prefill."""
    waiting: int = 0
    """Sequences that will start from its cache."""
    top_logprobs: int | None = None
    """Top alternatives of each prompt token to report; None reports no log-probabilities."""
    logprobs: PromptLogprobs | None = None
    """The log-probabilities of the prompt's tokens, once it is prefilled."""
    reuse: PrefillReuse | None = None
    """Entries and results of earlier requests; None computes everything."""
    prefix: PromptPrefix | None = None
    """The part that the prefix cache holds, once the prefill has begun."""
    writers: dict[int, DraftedPrompt] = field(default_factory=dict)
    """The models that draft answers, by their layers; 0 for the draft model."""
    networks: AnswerNetworks | None = None
    """The networks of its prefill and its answers; set by `shorten`."""

    @property
    def cached(self) -> int:
        """Prompt tokens that the conversation's cache already holds."""
        return self.past.next if self.past is not None else 0

    @property
    def untouched(self) -> bool:
        """Whether no prefill has started or finished."""
        return self.result is None and self.error is None and self.prefill is None

    def flops_at_most(self) -> float:
        """FLOPs of the prefill and its drafts that a budget reserves."""
        return PrefillBound(self.plan, self.draft, self.answer_tokens).most(len(self.prompt))

    def flops_at_least(self) -> float:
        """FLOPs without which no prefill is possible, given the entries of earlier requests."""
        bound, reuse = PrefillBound(self.plan, self.draft, self.answer_tokens), self.reuse
        tokens = bound.read(len(self.prompt))
        if reuse is not None and tokens < len(self.prompt):
            return 0.0  # an earlier choice may serve, so the tokens are unknown
        known = self.cached
        if reuse is not None and self._reuses_entries:
            used = self.target.network, self.prompt.tokens, self.plan.newest_queries
            known = reuse.held(*used)
        return forward_flops(self.target.shape, tokens - known, [], 1)

    @property
    def _reuses_entries(self) -> bool:
        """Whether the target's entries may come from a prefix cache and go there.

        Sparse prefill changes entries, and so do the evictions of a conversation so far. A choice
        of neurons needs the activations of the whole prompt.
        """
        shared = self.reuse is not None and self.past is None
        return shared and self.plan.sparse_prefill is None and not self.plan.chooses_neurons

    @property
    def token_bytes(self) -> int:
        """Cache bytes of one token without any approximation."""
        return int(entry_bytes(self.target.shape, self.target.network.dtype.itemsize))

    @property
    def cache_bytes(self) -> int:
        """Most cache bytes of the prompt without evictions, and those of its gathered weights.

        Until the prefill is done, they are the entries of the shortened prompt, or of the whole one
        in a draft, whichever are more. Prompts beyond the context are refused.
        """
        if self.result is not None and self.short is not None:
            gathered = 0 if self.networks is None else self.networks.held_bytes
            return self.token_bytes * len(self.short) + gathered
        length, most = len(self.prompt), 0
        for method in self.plan.applied:
            if method.uses_draft():
                most = max(most, _prompt_bytes(self.draft.serving(method).model, length))
            length = method.reads(length)
        return max(most, _prompt_bytes(self.target, length))

    def drafted(self) -> list[PlannedReading]:
        """What drafts will read of the whole prompt; nothing if one cannot, which it will say."""
        found = []
        for method in self.plan.applied:
            if method.uses_draft():
                draft = self.draft.serving(method)
                try:
                    found.append(PlannedReading.of(method, draft, self.prompt, self.answer_tokens))
                except ForethoughtError:
                    return []
            if method.reads(len(self.prompt)) < len(self.prompt):
                break
        return found

    @property
    def opened(self) -> Opened:
        """The result of the prefill, for the driver."""
        assert self.result is not None, "prefilled first"
        short = room_note(self.room, self.answer_tokens)
        return Opened(len(self.prompt), self.result.kept, (*self.notes, *short))

    def spent(self) -> Cost:
        """The cost of the prefill and its drafts so far."""
        return self.meter.cost(0.0)

    def compressed(self) -> Prompt:
        """The prompt as drafts and methods shorten it."""
        methods, length = self.plan.applied, len(self.prompt)
        choosing = any(one.uses_draft() or one.reads(length) < length for one in methods)
        with self.meter.stage("draft") if choosing else nullcontext():
            return self.plan.compressed(self.prompt, self.draft, self.answer_tokens)

    def chosen(self) -> Prompt:
        """The shortened prompt, by the choice of an earlier turn where there is one."""
        short = self._continued() or self.compressed()
        if self.reuse is not None and short.lookahead is None:
            self.reuse.remember_choice(self._scope, self.prompt, short)
        return short

    def shorten(self) -> None:
        """Shorten the prompt, then check that it fits the context."""
        short = self.chosen()
        end = short.end + len(short.lookahead or ()) + self.answer_tokens
        self.target = self.target.for_length(end)
        if self.past is None:
            check_context(short, self.target, self.draft)
        else:
            check_turn(short, self.target, self.past.next)
        self.room, self.short = self.target.shape.context - short.end, short
        self.networks = AnswerNetworks(self.target.network, self.plan.thinning)

    @property
    def network(self) -> Network:
        """The network of its answers' decode passes, as far as it is known."""
        prefilled = self.networks is not None and self.result is not None
        return self.networks.decoding if prefilled and self.networks else self.target.network

    def _continued(self) -> Prompt | None:
        """The prompt by the choice of an earlier turn; None if it is to be chosen anew.

        An earlier choice serves while the new messages, which are not shortened, are no longer than
        a new choice would leave the prompt.
        """
        if self.reuse is None or self.past is not None or not self.plan.applied:
            return None
        most = len(self.prompt)
        for method in self.plan.applied:
            most = method.reads(most)
        found = self.reuse.continued(self._scope, self.prompt, most)
        fits = found is not None and found.end + self.answer_tokens <= self.target.shape.context
        return found if fits else None

    @property
    def _scope(self) -> Hashable:
        """The methods and models of a choice."""
        return self.plan.applied, self.target.network, self.draft.model.network

    def run_prefill(self) -> None:
        """Prefill the shortened prompt, after the conversation so far."""
        assert self.short is not None, "shortened first"
        with self.meter.stage("prefill"):
            assert self.networks is not None, "shortened first"
            shown, start = FinalStates(), 0 if self.past is None else self.past.next
            network = self.networks.prefilling(len(self.short) - start)
            batch = Batch(network, self.meter, final=shown)
            of = len(self.prompt)
            if self.top_logprobs is not None:
                done = self._scored(batch, self.top_logprobs)
            else:
                prefix = self.prefix = self._prefix(self.short)
                done = prefill(batch, self.target, self.short, self.plan, of, self.past, prefix)
            self.networks.gather()
            self.result = replace(done, state=shown.last)

    def _prefix(self, short: Prompt) -> PromptPrefix | None:
        """The cached part of the shortened prompt; None if nothing may be cached."""
        if self.reuse is None or not self._reuses_entries:
            return None
        newest = self.plan.newest_queries
        return self.reuse.prefix(self.target.network, short.tokens, short.positions, newest=newest)

    def store_answer(self, tokens: Sequence[int], cache: SequenceCache) -> None:
        """Store the entries of an answer for prompts that continue it.

        They must equal those of a prefill: decode passes of some networks read quantised weights.
        """
        full = self.network is self.target.network
        exact = self.plan.exact and full and self.target.network.one_format
        if exact and self.short is not None and self.prefix is not None:
            whole = [*self.short.tokens, *tokens]
            places = self.short.places(len(whole)) if self.short.positions else ()
            self.prefix.extend(prefix_key(whole, places), cache)

    def close(self) -> None:
        """Unlock the entries of the prefix cache."""
        if self.prefix is not None:
            self.prefix.close()

    def _scored(self, batch: Batch, top: int) -> PrefillResult:
        """Prefill the whole prompt, and score its tokens."""
        prompt, meter = self.prompt, self.meter
        cache = SequenceCache(len(self.target.shape.layers), len(prompt))
        done = scored_prefill(batch, cache, prompt.tokens, top)
        meter.count("prompt", len(prompt))
        self.logprobs = done.scores
        return finished(meter, cache, done.logits, prompt, self.plan, len(prompt))

    def decode_eviction(self) -> DecodeEviction | None:
        """A new answer's evictions during decode; None if there are none."""
        assert self.short is not None, "shortened first"
        return self.plan.decode_eviction(self.target.network, self.short)

    def attempt(self, act: Callable[[], None]) -> None:
        """Run one part of the preparation; store its error for the waiting sequences."""
        try:
            act()
        except ForethoughtError as error:
            self.error = error


@dataclass(frozen=True)
class Preparation:
    """Prepares prompts with these methods and models."""

    methods: Methods
    target: Model
    draft: Model
    answer_tokens: int
    draft_results: DraftResults = field(default_factory=dict)
    """Results of drafts, shared by prompts with the same tokens."""
    reuse: PrefillReuse | None = None
    """Entries and results of earlier requests."""
    remote_target: bool = False
    """Whether the target runs on a server, and `target` stands in for it."""
    predicted: bool = False
    """Whether the client predicts the answer."""

    def prepare(
        self, prompt: Prompt, meter: Meter, past: SequenceCache | None = None
    ) -> PreparedPrompt:
        """Plan the methods for a prompt; no model runs yet."""
        may_shorten = past is None
        draft = ModelDraft(
            self.draft,
            self.target,
            meter,
            self.draft_results,
            self.reuse,
            may_shorten=may_shorten,
            sparse=next((method for _, method in self.methods if method.thins_draft()), None),
            remote_target=self.remote_target,
        )
        methods = with_entry_budgets(self.methods, self.target) if self.methods else ()
        chosen = plan(methods, prompt, draft, predicted=self.predicted)
        return PreparedPrompt(
            self.target,
            prompt,
            chosen,
            draft,
            meter,
            self.answer_tokens,
            past,
            chosen.notes,
            reuse=self.reuse,
        )


def _prompt_bytes(model: Model, length: int) -> int:
    """Cache bytes of a prompt in a model; a longer one than its context is refused."""
    shape = model.for_length(length).shape
    return entry_bytes(shape, model.network.dtype.itemsize) * min(length, shape.context)


def prefill_all(prompts: Sequence[PreparedPrompt], clock: Clock) -> None:
    """Shorten each prompt, then prefill all; equal shortened prompts share one prefill.

    With a prefix cache each runs alone, and the first one leaves its entries to the others.
    """
    if len(prompts) > 1 and all(one.reuse is None for one in prompts):
        share_readings([reader for one in prompts for reader in one.drafted()])
    for one in prompts:
        one.attempt(one.shorten)
        pause(end_slice=True)  # drafts may have used up the time limit
    for one in prompts:
        one.draft.readings.clear()
    for group in _sharing([one for one in prompts if one.error is None]):
        if len(group) == 1 or not _prefilled_together(group, clock):
            for one in group:
                one.attempt(one.run_prefill)


def _sharing(prompts: Sequence[PreparedPrompt]) -> list[list[PreparedPrompt]]:
    """The prompts in groups that one prefill can fill; those to score run alone."""
    alone = any(one.reuse is not None or one.top_logprobs is not None for one in prompts)
    if len(prompts) == 1 or alone:
        return [[one] for one in prompts]
    groups: dict[tuple[object, ...], list[PreparedPrompt]] = {}
    for one in prompts:
        assert one.short is not None, "shortened first"
        key = id(one.target), *shared_key(one.plan, one.short)
        groups.setdefault(key, []).append(one)
    return list(groups.values())


def _prefilled_together(group: Sequence[PreparedPrompt], clock: Clock) -> bool:
    """Whether one prefill filled all; False if a method failed, so that each runs alone."""
    branches = [
        Branch(one.plan, one.short, len(one.prompt), one.meter) for one in group if one.short
    ]
    before = [one.meter.copy() for one in group]
    try:
        results = prefill_together(group[0].target, branches, clock)
    except ForethoughtError:
        for one, meter in zip(group, before, strict=True):
            one.meter.restore(meter)
        return False
    for one, result in zip(group, results, strict=True):
        one.result = result
    return True

"""Prepares a prompt for its sequences: plan, byte budgets, shortening, context check, prefill.

Plain answers, samples, conversation turns, evaluations and searches all prepare their prompts here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

from forethought.contracts.backend import Opened
from forethought.contracts.errors import ForethoughtError, PromptTooLongError
from forethought.contracts.records import Cost, Prompt
from forethought.cost.flops import answer_flops, entry_bytes
from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.decode_eviction import DecodeEviction
from forethought.engine.meter import Clock, Meter
from forethought.engine.sequence import Prefill
from forethought.models.hardware.sliced_task import pause
from forethought.models.model import Model
from forethought.prefill.byte_budgets import sized
from forethought.prefill.draft_model import Memory, ModelDraft
from forethought.prefill.prefill import (
    Methods,
    PrefillPlan,
    PrefillResult,
    plan,
    read,
    reading_flops,
    shortened,
)
from forethought.prefill.shared_prefix import Branch, read_together, shared_key


@dataclass
class PreparedPrompt:
    """A prompt, what its methods make of it, and its cache once it is prefilled."""

    target: Model
    """For texts of this length, once the prompt is shortened."""
    prompt: Prompt
    """The whole prompt."""
    plan: PrefillPlan
    draft: ModelDraft
    meter: Meter
    """Charged for drafts and prefill alone."""
    answer_tokens: int
    """Most tokens of an answer."""
    past: SequenceCache | None = None
    """The cache of the conversation so far."""
    notes: tuple[str, ...] = ()
    short: Prompt | None = None
    """What the target prefills, once the methods have shortened the prompt."""
    result: PrefillResult | None = None
    room: int = 0
    """Most tokens that an answer may have behind the prompt, once it is prefilled."""
    error: ForethoughtError | None = None
    """Why the prompt cannot be prefilled."""
    prefill: Prefill | None = None
    """The work in progress."""
    charged: bool = False
    """Whether its run was charged for the prefill."""
    waiting: int = 0
    """Sequences that will begin behind it."""

    @property
    def cached(self) -> int:
        """Prompt tokens that the cache of the conversation holds already."""
        return self.past.next if self.past is not None else 0

    @property
    def unfilled(self) -> bool:
        """Whether nobody has begun to prefill it."""
        return self.result is None and self.error is None and self.prefill is None

    def flops_at_most(self) -> float:
        """FLOPs of the prefill, its drafts included."""
        length, most = len(self.prompt), self.answer_tokens
        flops = reading_flops(self.plan.applied, length, self.draft)
        for method in self.plan.applied:
            if method.uses_draft() or method.sees_whole_cache():
                # The draft may decode a guess of the answer, which the target then prefills.
                serving = self.draft.serving(method)
                flops += answer_flops(serving.model.shape, length, most)
                flops += 2 * answer_flops(self.target.shape, length, most + 1)
        return flops

    def expected_bytes(self) -> int:
        """Cache bytes of the prompt and one answer without any approximation."""
        each = entry_bytes(self.target.shape, self.target.network.dtype.itemsize)
        return int(each * (len(self.prompt) + self.answer_tokens))

    @property
    def opened(self) -> Opened:
        """What the prefill has found."""
        assert self.result is not None, "prefilled first"
        short = short_room(self.room, self.answer_tokens)
        return Opened(len(self.prompt), self.result.kept, (*self.notes, *short))

    def spent(self) -> Cost:
        """What the prefill and its drafts took so far."""
        return self.meter.cost(0.0)

    def compressed(self) -> Prompt:
        """The prompt as drafts and methods shorten it."""
        methods, length = self.plan.applied, len(self.prompt)
        choosing = any(one.uses_draft() or one.reads(length) < length for one in methods)
        with self.meter.stage("draft") if choosing else nullcontext():
            return shortened(self.plan, self.prompt, self.draft, self.answer_tokens)

    def shorten(self) -> None:
        """Let methods shorten the prompt; then check that it fits the context."""
        short = self.compressed()
        end = short.end + len(short.lookahead or ()) + self.answer_tokens
        self.target = self.target.for_length(end)
        if self.past is None:
            check_context(short, self.target, self.draft)
        else:
            check_turn(short, self.target, self.past.next)
        self.room, self.short = self.target.shape.context - short.end, short

    def fill(self) -> None:
        """Prefill what is left of the prompt."""
        assert self.short is not None, "shortened first"
        with self.meter.stage("prefill"):
            batch = Batch(self.target.network, self.meter)
            of = len(self.prompt)
            self.result = read(batch, self.target, self.short, self.plan, of, self.past)

    def decode_eviction(self) -> DecodeEviction | None:
        """A new answer's evictions while it is decoded, if there are any."""
        assert self.short is not None, "shortened first"
        return self.plan.decode_eviction(self.target.network, self.short)

    def guarded(self, act: Callable[[], None]) -> None:
        """Do a part of the preparation; its error is kept for the sequences that wait."""
        try:
            act()
        except ForethoughtError as error:
            self.error = error


@dataclass(frozen=True)
class Preparation:
    """The models and methods that prompts are prepared with."""

    methods: Methods
    target: Model
    draft: Model
    answer_tokens: int
    memory: Memory = field(default_factory=dict)
    """What drafts found for prompts of the same tokens."""

    def of(self, prompt: Prompt, meter: Meter, past: SequenceCache | None = None) -> PreparedPrompt:
        """A prompt with its plan; no model runs yet."""
        shortens = past is None
        draft = ModelDraft(self.draft, self.target, meter, self.memory, shortens=shortens)
        methods = sized(self.methods, self.target) if self.methods else ()
        chosen = plan(methods, prompt, draft)
        return PreparedPrompt(
            self.target, prompt, chosen, draft, meter, self.answer_tokens, past, chosen.notes
        )


def prefill_all(prompts: Sequence[PreparedPrompt], clock: Clock) -> None:
    """Shorten prompts one after the other, then prefill them; those alike after that together."""
    for one in prompts:
        one.guarded(one.shorten)
        pause(end_slice=True)  # drafts may have spent a time limit
    for group in _sharing([one for one in prompts if one.error is None]):
        if len(group) == 1 or not _filled_together(group, clock):
            for one in group:
                one.guarded(one.fill)


def _sharing(prompts: Sequence[PreparedPrompt]) -> list[list[PreparedPrompt]]:
    """Prompts that one prefill can fill, in one list each."""
    if len(prompts) == 1:
        return [list(prompts)]
    groups: dict[tuple[object, ...], list[PreparedPrompt]] = {}
    for one in prompts:
        assert one.short is not None, "shortened first"
        key = id(one.target), *shared_key(one.plan, one.short)
        groups.setdefault(key, []).append(one)
    return list(groups.values())


def _filled_together(group: Sequence[PreparedPrompt], clock: Clock) -> bool:
    """Whether one prefill has served all; a method that fails must not fail the others."""
    branches = [
        Branch(one.plan, one.short, len(one.prompt), one.meter) for one in group if one.short
    ]
    before = [one.meter.copied() for one in group]
    try:
        results = read_together(group[0].target, branches, clock)
    except ForethoughtError:
        for one, meter in zip(group, before, strict=True):
            one.meter.restore(meter)
        return False
    for one, result in zip(group, results, strict=True):
        one.result = result
    return True


def _alone(target: Model, branch: Branch) -> PrefillResult:
    with branch.meter.stage("prefill"):
        batch = Batch(target.network, branch.meter)
        return read(batch, target, branch.prompt, branch.plan, branch.of)


def short_room(room: int, answer_tokens: int, whose: str = "model") -> tuple[str, ...]:
    """A note where the context has less room than the answer may need."""
    if room >= answer_tokens:
        return ()
    return (f"the {whose}'s context has room for {room:,} tokens of the answer",)


def check_context(prompt: Prompt, target: Model, draft: ModelDraft) -> None:
    """Raise PromptTooLongError, naming what would make the prompt fit."""
    context = target.shape.context
    if prompt.end < context:
        return
    fit = max(1, context * 3 // 4)
    methods = [f"truncate(keep={fit})"]
    if draft.model.for_length(len(prompt)).shape.context > len(prompt):
        methods.insert(0, f"specpc(keep={fit})")
    raise PromptTooLongError(
        f"the prompt has {prompt.end:,} tokens, but {target.name} holds {context:,}, "
        "the answer included",
        f"shorten it by a method such as {' or '.join(methods)}",
    )


def check_turn(prompt: Prompt, target: Model, before: int) -> None:
    """Raise PromptTooLongError for a turn that does not fit behind the `before` tokens of others.

    Methods shorten a conversation's first turn alone, so none is named.
    """
    context = target.shape.context
    if prompt.end < context:
        return
    # A question has some tokens of the chat template around it.
    shorter = "ask a shorter question, or " if before + 32 < context else ""
    raise PromptTooLongError(
        f"the conversation has {prompt.end:,} tokens with this question, but {target.name} holds "
        f"{context:,}, the answer included",
        f"{shorter}begin a new conversation; a method such as truncate(keep={context // 2}) leaves "
        "more room where it shortens the first turn",
    )

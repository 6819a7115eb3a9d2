"""The state of a run: its models, prompts, cached candidates and meters."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from forethought import catalogue
from forethought.backends.local.candidate_cache import CachedCandidate, CandidateCaches
from forethought.backends.local.drafting import (
    DraftStore,
    PromptDraftSource,
    correction_of,
    drafting_of,
)
from forethought.backends.local.verdicts import VerdictModel
from forethought.contracts.backend import Opened, PromptReady, Request
from forethought.contracts.controls import GenerationControls
from forethought.contracts.errors import UnsupportedModelError, UsageError
from forethought.contracts.records import Cost, Kept, ModelShape, Prompt
from forethought.contracts.roles import StateProbe
from forethought.contracts.search import ProbeOutput, Writer
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.drafting import Drafting
from forethought.engine.meter import Clock, Meter
from forethought.engine.sampling import SamplingParams
from forethought.models.chat.prompt import chat_prompt
from forethought.models.model import Model
from forethought.prefill.context_room import room_note
from forethought.prefill.draft_model import DraftResults
from forethought.prefill.plan import Methods
from forethought.prefill.prefill_reuse import PrefillReuse
from forethought.prefill.prepare import Preparation, PreparedPrompt
from forethought.recipes.probes import probes_of
from forethought.recipes.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class LocalRun:
    """One run: a recipe's models on one question, and the state that its requests share."""

    recipe: Recipe
    target: Model
    draft: Model
    clock: Clock
    system: str | None = None
    """The system message of every prompt."""
    prompt: Prompt | None = None
    """The run's own prompt, if the caller has built it, as for a conversation."""
    past: SequenceCache | None = None
    """The cache of the conversation so far."""
    tenant: str = ""
    """Whose run it is; tenants get equal shares and share no cache."""
    plain: bool = False
    """Whether answers stream token by token and continue no other candidate."""
    methods: Methods | None = None
    """The methods that apply, as in a later turn of a conversation; None for the recipe's."""
    controls: GenerationControls = field(default_factory=GenerationControls)
    """Controls of decoding beside the recipe."""
    prompt_logprobs: int | None = None
    """Top alternatives to report for each token of the prompt; None reports no prompt tokens."""
    visible: frozenset[int] = frozenset()
    """Control tokens that the text of answers shows, such as those around tool calls."""
    verdict_prompts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """The tokens of questions for verdicts that the caller has tokenized."""
    draft_results: DraftResults = field(default_factory=dict)
    reuse: PrefillReuse | None = None
    """Entries and results of the tenant's earlier requests; None computes everything."""
    predicted: tuple[int, ...] = ()
    """The tokens of the answer that the client expects."""
    drafts: DraftStore = field(default_factory=DraftStore)
    """What drafters keep from one sequence to the next."""
    caches: CandidateCaches = field(default_factory=CandidateCaches)
    prompts: dict[tuple[Writer, str], PreparedPrompt] = field(default_factory=dict)
    """By the writer that reads the prompt, and its question if that is not the run's own."""
    meters: dict[Writer, Meter] = field(default_factory=dict)
    holds: bool = False
    """Whether the answer's cache is kept for the next turn of a conversation."""
    answer: tuple[SequenceCache, list[int]] | None = None
    """That cache, and the tokens of the answer."""
    cached: int = 0
    """Tokens of the prompt that the conversation's cache holds."""
    left_out: int = 0
    """Tokens that methods have left out of earlier turns: an exact run's cache holds them."""
    reported: bool = False
    """Whether the prefill's result has been reported."""
    _reported: dict[Writer, Meter] = field(default_factory=dict)
    """What outcomes have reported."""

    def meter(self, writer: Writer) -> Meter:
        """The meter of a model in this run."""
        return self.meters.setdefault(writer, Meter(self.clock))

    def prompt_of(self, request: Request) -> PreparedPrompt:
        """The prompt that a request continues."""
        return self._prompt(request, request.parent.writer)

    def opened(self, request: Request) -> Opened:
        """The result of the target's prefill; only the prompt's length if the draft answers."""
        prompt = self.prompt_of(request)
        if request.parent.writer != "draft":
            return prompt.opened
        length = len(self._prompt(request, "target").prompt)
        short = room_note(prompt.room, prompt.answer_tokens, "draft")
        return Opened(length, Kept(0, length, ()), short)

    def root(self, prompt: PreparedPrompt, request: Request) -> CachedCandidate:
        """The candidate without tokens after a prefilled prompt."""
        if prompt.error is not None:
            raise prompt.error
        place = request.parent.writer, request.parent.question, (), 0, ()
        found = self.caches.get(place)
        if found is None:
            assert prompt.result is not None, "prefilled first"
            self.charge_prefill(prompt, request.parent.writer)
            done = prompt.result
            found = CachedCandidate.at_prompt(done.cache, done.logits, done.state)
            self.caches.put(place, found)
        return found

    def charge_prefill(self, prompt: PreparedPrompt, writer: Writer) -> None:
        """Charge a prefill to the run, once."""
        if not prompt.charged:
            prompt.charged = True
            self.meter(writer).add(prompt.meter)

    def prompt_ready(self, request: Request) -> PromptReady:
        """The result and the stages of a plain answer's prefill; marks them as reported."""
        self.reported = True
        stages = dict(self.prompt_of(request).meter.stages)
        logprobs = self.prompt_of(request).logprobs
        return PromptReady(request.key, self.opened(request), stages, logprobs)

    @property
    def prompt_length(self) -> int:
        """Tokens of the run's whole prompt; 0 before it is built."""
        found = self.prompts.get(("target", ""))
        return len(found.prompt) if found is not None else 0

    @property
    def shape(self) -> ModelShape:
        """The target's shape for a prompt of this length."""
        found = self.prompts.get(("target", ""))
        return (found or self).target.shape

    @cached_property
    def probes(self) -> tuple[StateProbe, ...]:
        """The probes of the recipe's strategy and scorer, each once.

        Raises UsageError for a probe of another model.
        """
        found = probes_of(self.recipe)
        for one in found:
            if one.network != self.target.network.fingerprint:
                raise UsageError(
                    f"the probe {one.name} was fitted to another model than {self.target.name}",
                    "use that model, or fit a probe to this one: forethought tune --probe KIND",
                )
        return found

    def probed(
        self, probes: Collection[StateProbe], state: Tensor | None
    ) -> tuple[ProbeOutput, ...]:
        """The outputs of probes for a state [hidden]."""
        if not probes:
            return ()
        if state is None:
            raise UnsupportedModelError(
                f"{self.target.name} shows no hidden states, which a probe reads",
                "use another model, or a method without a probe",
            )
        values = state.double().tolist()
        return tuple(ProbeOutput(one.key, one.outputs(values)) for one in probes)

    @cached_property
    def verdict_model(self) -> VerdictModel:
        """The target as a judge."""
        return VerdictModel(self.target, self.clock, self.verdict_prompts)

    def charged(self, writer: Writer, cost: Cost, *, metered: bool) -> Cost:
        """The cost with the bytes moved since the last outcome, and with FLOPs if `metered`.

        FLOPs follow from lengths, so they do not depend on the order of outcomes. They are metered
        only if a method evicts during decode.
        """
        meter = self.meter(writer)
        new = meter.since(self._reported.get(writer, Meter(self.clock)))
        self._reported[writer] = meter.copy()
        # The caches of both models stay until the run ends.
        peak = sum(one.peak_cache_bytes for one in self.meters.values())
        spent = replace(
            cost,
            bytes_moved=new.bytes_moved,
            peak_cache_bytes=peak,
            verified_tokens=new.tokens.get("verified", 0),
            accepted_tokens=new.tokens.get("accepted", 0),
            decode_passes=new.tokens.get("passes", 0),
        )
        return replace(spent, flops=new.flops) if metered else spent

    def drafting(
        self, prompt: PreparedPrompt, ends: frozenset[int], sampling: SamplingParams, stream: int
    ) -> Drafting | None:
        """The drafts of a sequence behind a prompt; None without a method that drafts.

        Drafts spend FLOPs to save time, so there are none within a budget of FLOPs.
        """
        source = PromptDraftSource(
            prompt,
            ends,
            sampling,
            stream,
            Meter(self.clock),
            self.drafts,
            self.tenant,
            self.predicted,
        )
        if (correction := correction_of(source)) is not None:
            return correction
        return None if self.recipe.limit.flops is not None else drafting_of(source)

    def _prompt(self, request: Request, writer: Writer) -> PreparedPrompt:
        """The request's prompt, in the tokens of one of the models."""
        where = writer, request.parent.question
        if where not in self.prompts:
            target = self.draft if writer == "draft" else self.target
            own = not request.parent.question
            laid = self.prompt if own and writer != "draft" else None
            prompt = laid or chat_prompt(
                target.tokenizer,
                target.template,
                request.question.text if own else request.parent.question,
                request.question.document if own else "",
                self.system,
            )
            past = self.past if laid is not None else None
            found = self._preparation(writer).prepare(prompt, Meter(self.clock), past)
            found.top_logprobs = self.prompt_logprobs
            self._check(found)
            self.prompts[where] = found
        return self.prompts[where]

    def _preparation(self, writer: Writer) -> Preparation:
        most = self.answer_tokens
        if writer == "draft":
            # Methods belong to the target: a draft that answers prefills the whole prompt.
            return Preparation((), self.draft, self.draft, most, reuse=self._reusable)
        whole = writer == "target" and self.recipe.shortens_aside
        methods, models = () if whole else self._methods(), (self.target, self.draft)
        return Preparation(
            methods,
            *models,
            most,
            self.draft_results,
            self._reusable,
            predicted=bool(self.predicted),
        )

    @property
    def _reusable(self) -> PrefillReuse | None:
        """What a prefill may reuse; log-probabilities of the prompt need all of its tokens."""
        return None if self.prompt_logprobs is not None else self.reuse

    def release(self) -> None:
        """Unlock the prompts' entries in the prefix cache."""
        for prompt in self.prompts.values():
            prompt.close()

    def _methods(self) -> Methods:
        if self.methods is not None:
            return self.methods
        return tuple((name, catalogue.build(name)) for name in self.recipe.approximate)

    @property
    def answer_tokens(self) -> int:
        """Maximum tokens of an answer; plain answers share a token budget."""
        allowed = self.recipe.limit.tokens
        if not self.plain or allowed is None:
            return self.recipe.max_tokens
        return min(self.recipe.max_tokens, max(1, allowed // self.recipe.samples))

    def _check(self, prompt: PreparedPrompt) -> None:
        thinning = prompt.plan.thinning
        if thinning is not None and thinning.correction() and self.recipe.limit.flops is not None:
            raise UsageError(
                "sparse tokens that the full model may reject have no bound on their FLOPs",
                "budget tokens or seconds, or use griffin",
            )
        if self.prompt_logprobs is not None and (self._methods() or not self.plain or self.past):
            raise UsageError(
                "log-probabilities of the prompt need a plain answer without any approximation",
                "use a recipe without methods and searches",
            )
        if not self.plain and prompt.plan.evicts_in_decode:
            raise UsageError(
                "a search continues the caches of its candidates, which a method that drops "
                "entries while it decodes would change",
                "use every=0",
            )

"""The cost of a recipe from sizes alone: no weights, no tokenizer, no torch.

The methods of a recipe state their work by the hooks that the engine itself uses. The estimate
holds the passes of the draft, the scores by attention, the prefill and the decode steps, and the
same for the exact run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from forethought import catalogue
from forethought.contracts.neurons import CorrectionRule, experts_refused
from forethought.contracts.records import Prompt
from forethought.contracts.roles import Approximation
from forethought.contracts.score_work import LayerSizes, PromptSizes, ScorePass
from forethought.cost.capacity import Capacity, capacity, gathered_bytes
from forethought.cost.flops import entry_bytes
from forethought.cost.precision import STORED_BITS
from forethought.cost.roofline import Machine, Phase, decode_phase, phase, prefill_phase
from forethought.cost.work import Pass, Work, decode_step
from forethought.models.decoder.config import DecoderConfig
from forethought.prefill.byte_budgets import in_entries
from forethought.prefill.plan import QUERY_WINDOW, PrefillPlan, plan
from forethought.recipes.recipe import Recipe
from forethought.sessions.cost_drafts import DraftCosts
from forethought.sessions.cost_stages import (
    CHUNK,
    CostRequest,
    CostStage,
    merged,
    products,
    sparse_flops,
)
from forethought.sessions.decode_growth import DecodeGrowth
from forethought.sessions.shaped_draft import ShapedDraft, ShapedModel


@dataclass(frozen=True)
class KnownPrompt:
    """The parts of a prompt that methods which read its text depend on."""

    text: tuple[int, int]
    """The first token of the document, and the one after its last."""
    asked: Callable[[str], int]
    """Counts the tokens of a turn that asks a text."""


@dataclass(frozen=True)
class CostEstimate:
    """The stages of a run, beside those of the exact run."""

    stages: tuple[CostStage, ...]
    exact: tuple[CostStage, ...]
    prompt: int
    """Prompt tokens that the target prefills."""
    entries: float
    """Cache entries per layer and head after the prefill, on average."""
    cache_bytes: float
    """Bytes of the caches at the end of the answers."""
    capacity: Capacity
    notes: tuple[str, ...] = ()
    outweighed: tuple[str, ...] = ()
    """Methods that the run skips because of their drafts' cost."""

    @property
    def seconds(self) -> float:
        """Time of all stages."""
        return sum(stage.phase.seconds for stage in self.stages)

    @property
    def first_token(self) -> float:
        """Time of all stages before decode."""
        return sum(stage.phase.seconds for stage in self.stages if stage.name != "decode")

    @property
    def work(self) -> Work:
        """Work of all stages."""
        found = Work()
        for stage in self.stages:
            found = found.plus(stage.phase.work)
        return found


def estimate(
    recipe: Recipe,
    target: DecoderConfig,
    draft: DecoderConfig | None,
    request: CostRequest,
    machine: Machine,
    *,
    weighs_drafts: bool = True,
    known: KnownPrompt | None = None,
) -> CostEstimate:
    """The cost of a request under a recipe; see `plan` for `weighs_drafts`.

    Without a `known` prompt, its document is the whole prompt.
    """
    model = ShapedModel(target)
    drafting = ShapedDraft(model if draft is None else ShapedModel(draft), model)
    methods = in_entries(
        [(text, catalogue.build(text)) for text in recipe.approximate],
        entry_bytes(target.shape),
        len(target.shape.layers),
    )
    sized = Prompt(tuple(range(request.prompt)), ((0, 0),) * request.prompt, "")
    # A client may predict its answer.
    chosen = plan(methods, sized, drafting, weighs_drafts=weighs_drafts, predicted=True)
    if chosen.thinning is not None and target.expert_layers:
        raise experts_refused()
    return _Estimator(target, drafting, chosen, request, machine, known).estimate()


@dataclass(frozen=True)
class _Estimator:
    """Counts the stages of one plan."""

    target: DecoderConfig
    draft: ShapedDraft
    plan: PrefillPlan
    request: CostRequest
    machine: Machine
    known: KnownPrompt | None

    def estimate(self) -> CostEstimate:
        asked = self.request
        length = asked.prompt
        stages: list[CostStage] = []
        for method in self.plan.applied:
            stages += self._drafts.scoring(method, length)
            length = method.reads(length)
        entries = self._entries(length)
        stored = self.machine.precision
        if self.plan.bits < 16:
            stored = replace(stored, cache=STORED_BITS[self.plan.bits])
        machine = replace(self.machine, precision=stored)
        stages += [*self._drafts.writing(length), *self._prefill(length)]
        stages += self._answer(machine, entries, length)
        held = asked.cache_bytes(self.target, stored, entries) + self._drafts.request_bytes(length)
        return CostEstimate(
            stages=tuple(merged(stages)),
            exact=tuple(self._exact()),
            prompt=length,
            entries=entries,
            cache_bytes=asked.batch * held,
            capacity=capacity(
                self.target.for_long_texts(),
                machine,
                held + self._gathered,
                length,
                self._drafts.weight_bytes,
            ),
            notes=(*self.plan.notes, *self._notes()),
            outweighed=self.plan.outweighed,
        )

    @property
    def _gathered(self) -> float:
        """Bytes of the MLP weights that a prompt gathers for itself."""
        neurons = self._sparse.intermediate if self.plan.chooses_neurons else 0
        return gathered_bytes(self.target, self.machine.precision, neurons)

    @property
    def _drafts(self) -> DraftCosts:
        return DraftCosts(self.draft, self.plan, self.request, self.machine)

    def _exact(self) -> list[CostStage]:
        asked, machine = self.request, self.machine
        chunk = min(CHUNK, asked.prompt)
        prefill = prefill_phase(self.target, machine, asked.prompt, asked.batch, chunk)
        decode = self._decode(machine, asked.prompt, sizes=self.target)
        return [CostStage("prefill", prefill), decode]

    @property
    def _sparse(self) -> DecoderConfig:
        """The target with the neurons of a decode pass, or of a sparse one."""
        method = self.plan.thinning
        active = None if method is None else method.active_neurons(self.target.intermediate)
        if active is None:
            return self.target
        used = active.products if active.products < active.gates else 0
        return replace(self.target, intermediate=active.gates, used_neurons=used)

    def _entries(self, length: int) -> float:
        """Entries per layer and head after the prefill and its eviction."""
        evicting, layers = self.plan.evicting, len(self.target.shape.layers)
        return length if evicting is None else evicting.entries_after(length, layers)

    def _prefill(self, length: int) -> Iterator[CostStage]:
        """The target's prefill, with the look-ahead that scores entries, and their scores."""
        evicting, asked = self.plan.evicting, self.request
        hooked = evicting is not None and not evicting.sees_whole_cache()
        ahead = self._guessed()
        yield CostStage("prefill", self._passes(length, ahead, in_one=hooked))
        scores = evicting is None or evicting.uses_draft()
        if ahead and scores:  # the last prompt token again, over the entries that stay
            again = Pass(1, self._entries(length) - 1, asked.batch)
            yield CostStage("prefill", phase(self.target, self.machine, [(again, 1.0)]))
        if evicting is not None:
            yield from self._scoring(evicting, length, ahead if scores else 0)

    def _guessed(self) -> int:
        """Tokens of the draft's look-ahead that the target prefills."""
        reading = [
            method.lookahead_tokens(self.request.answer)
            for method in self.plan.applied
            if method.uses_draft() and (method.evicts() or method.thins_attention())
        ]
        return reading[0] if reading else 0

    def _passes(self, length: int, ahead: int, *, in_one: bool) -> Phase:
        """The passes of the target's prefill, dense or sparse."""
        tokens, batch, sparse = length + ahead, self.request.batch, self.plan.sparse_prefill
        if sparse is None:
            chunk = tokens if in_one else min(CHUNK, tokens)
            return prefill_phase(self.target, self.machine, tokens, batch, chunk)
        flops = sparse_flops(sparse, self.target.shape, tokens, ahead)
        whole = Pass(tokens, 0, batch, attention=flops)
        return phase(self.target, self.machine, [(whole, 1.0)])

    def _scoring(self, evicting: Approximation, length: int, ahead: int) -> Iterator[CostStage]:
        """The products and passes that score the target's entries."""
        asked, known = self.request, self.known
        sizes = PromptSizes(self.target.shape, length, self._entries(length), ahead)
        if known is not None:
            sizes = replace(sizes, text=known.text, asked=known.asked)
        work = evicting.score_work(sizes)
        if work.flops:
            name = "scores" if work.passes else "prefill"
            yield products(self.machine, name, work.flops * asked.batch, self.target.layers)
        if work.passes:
            passes = [(self._score_pass(one), 1.0) for one in work.passes]
            yield CostStage("scores", phase(self.target, self.machine, passes))

    def _score_pass(self, one: ScorePass) -> Pass:
        batch = self.request.batch
        if one.decodes:
            return decode_step(one.past, batch)
        return Pass(one.tokens, one.past, batch)

    def _answer(self, machine: Machine, entries: float, length: int) -> Iterator[CostStage]:
        """The decode steps, and the evictions between them."""
        method, steps = self.plan.evicting, self.request.answer - 1
        thinning = self.plan.thinning
        if thinning is not None and (rule := thinning.correction()) is not None:
            yield from self._corrected(machine, entries, rule)
            return
        every = 0 if method is None else method.evicts_every()
        if method is None or not every:
            yield self._decode(machine, entries)
            return
        left = method.entries_left(length, self.target.layers)
        growth = DecodeGrowth(entries, left, every, steps)
        yield self._decode(machine, entries, growth.growing + 1)
        rows = self.request.batch * self.request.samples
        held = [(decode_step(past, rows), float(count)) for past, count in growth.held()]
        if held:
            yield CostStage("decode", phase(self._sparse, machine, held))
        queries = min(max(QUERY_WINDOW, every), length + steps)
        for at, count in growth.evictions():
            flops = count * rows * self._rescored(method, round(at), every, queries)
            if flops:
                yield products(self.machine, "decode", flops, self.target.layers)

    def _rescored(self, method: Approximation, entries: int, added: int, queries: int) -> float:
        shape = self.target.shape
        layers = [
            LayerSizes(layer, shape.hidden, entries, added=added, queries=queries)
            for layer in shape.layers
        ]
        return sum(method.rescore_flops(layer) for layer in layers)

    def _corrected(
        self, machine: Machine, entries: float, rule: CorrectionRule
    ) -> Iterator[CostStage]:
        """Sparse steps, and the passes of the full model that check them; all tokens are taken."""
        asked, left = self.request, self.request.answer - 1
        rows = asked.batch * asked.samples
        shared = entries if asked.samples > 1 else 0.0
        # Above 1 no sparse token is taken, so that each token needs a check of its own.
        alone = rule.threshold > 1
        while left > 0:
            tokens, checks = (rule.kernel, left) if alone else (min(rule.kernel, left), 1)
            past = entries + asked.answer - 1 - left + (checks - 1) / 2
            steps = self._steps(self._sparse, machine, past, tokens - 1, shared)
            check = Pass(tokens, past, rows, "decode", tokens, shared, asked.batch)
            yield CostStage("decode", steps.times(checks))
            yield CostStage("decode", phase(self.target, machine, [(check, float(checks))]))
            left -= left if alone else tokens

    def _decode(
        self,
        machine: Machine,
        entries: float,
        tokens: int | None = None,
        sizes: DecoderConfig | None = None,
    ) -> CostStage:
        asked = self.request
        steps = (tokens or asked.answer) - 1
        evicts = self.plan.evicts_in_decode  # so that no entry is shared
        shared = entries if asked.samples > 1 and not evicts else 0.0
        config = sizes or self._sparse
        return CostStage("decode", self._steps(config, machine, entries, steps, shared))

    def _steps(
        self, config: DecoderConfig, machine: Machine, entries: float, steps: int, shared: float
    ) -> Phase:
        """Decode steps; prompts with neurons of their own share no pass."""
        samples, batch = self.request.samples, self.request.batch
        if self.plan.chooses_neurons and config is not self.target:
            return decode_phase(config, machine, entries, steps, samples, shared).times(batch)
        return decode_phase(config, machine, entries, steps, batch * samples, shared, batch)

    def _notes(self) -> Iterator[str]:
        if self.plan.drafting is not None:
            yield (
                "decode is counted without drafted tokens, and without the passes that draft them: "
                "the text decides how many are accepted"
            )
        if self._gathered:
            yield f"each prompt holds {self._gathered / 2**30:.3g} GiB of MLP weights of its own"
        yield from dict.fromkeys(filter(None, (one.uncounted() for one in self.plan.applied)))

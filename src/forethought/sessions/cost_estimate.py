"""The cost of a recipe from sizes alone: no weights, no tokenizer, no torch.

The methods of a recipe state their work by the hooks that the engine itself uses. The estimate
holds the passes of the draft, the scores by attention, the prefill and the decode steps, and the
same for the exact run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from forethought import catalogue
from forethought.contracts.records import ModelShape, Prompt
from forethought.contracts.roles import Approximation, Draft, Tap
from forethought.cost.capacity import Capacity, cache_bytes, capacity
from forethought.cost.flops import attention_flops, entry_bytes, window_pairs
from forethought.cost.precision import STORED_BITS, Precision
from forethought.cost.roofline import Machine, Phase, decode_phase, phase, prefill_phase
from forethought.cost.work import Operation, Pass, Work
from forethought.models.decoder.config import DecoderConfig
from forethought.prefill.byte_budgets import in_entries
from forethought.prefill.plan import PrefillPlan, plan
from forethought.prefill.planning import default_layer_span
from forethought.recipes.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor

CHUNK = 2048
"""Prompt tokens of a prefill pass, unless a method must see the whole prompt."""


@dataclass(frozen=True)
class CostRequest:
    """What is asked for: lengths in tokens, and equal requests at once."""

    prompt: int
    answer: int
    batch: int = 1
    samples: int = 1
    """Answers to each prompt, which share its cache."""


@dataclass(frozen=True)
class CostStage:
    """A part of a run, by the name that the user sees."""

    name: str
    phase: Phase


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


@dataclass(frozen=True)
class ShapedModel:
    """A model of which only the configuration is known."""

    config: DecoderConfig

    @property
    def shape(self) -> ModelShape:
        """Sizes of the network."""
        return self.config.shape

    def for_length(self, tokens: int) -> ShapedModel:
        """The model for texts of so many tokens."""
        longer = self.config.for_long_texts() if tokens > self.config.context else self.config
        return ShapedModel(longer)

    def first_layers(self, count: int) -> DecoderConfig:
        """The configuration cut after so many layers."""
        config = self.config
        return replace(
            config,
            layers=count,
            windows=config.windows[:count],
            layer_ropes=config.layer_ropes[:count],
            expert_layers=tuple(layer for layer in config.expert_layers if layer < count),
        )


@dataclass(frozen=True)
class ShapedDraft(Draft):
    """A draft of which only the sizes are known; it runs nothing."""

    model: ShapedModel
    target: ShapedModel
    remote_target: bool = False
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Whether the target drafts for itself."""
        return "self" if self.model is self.target else "draft"

    @property
    def layers(self) -> int:
        """Number of layers."""
        return self.model.config.layers

    @property
    def layer_span(self) -> tuple[int, int]:
        """The default first layer that methods use, and one past the last."""
        own, target = self.model.shape, self.target.shape
        return default_layer_span(own, target, is_self=self.model is self.target)

    def serving(self, method: Approximation) -> ShapedDraft:
        """The draft that a method uses: this one, or the target itself."""
        return replace(self, model=self.target) if method.drafts_with_itself() else self

    def read(
        self,
        prompt: Prompt,
        tap: Tap,
        *,
        layers: int | None = None,
        lookahead: int = 0,
        queries: int | None = None,
    ) -> list[int]:
        """Costs are planned by `on_prompt` of no method."""
        raise AssertionError("an estimate runs no model")

    def carry(self, importance: Tensor, prompt: Prompt) -> Tensor:
        """Costs are planned by `on_prompt` of no method."""
        raise AssertionError("an estimate runs no model")

    def charge(self, tokens: int, flops: float) -> None:
        """Costs are planned by `on_prompt` of no method."""
        raise AssertionError("an estimate runs no model")


def estimate(
    recipe: Recipe,
    target: DecoderConfig,
    draft: DecoderConfig | None,
    request: CostRequest,
    machine: Machine,
    *,
    weighs_drafts: bool = True,
) -> CostEstimate:
    """The cost of a request under a recipe; see `plan` for `weighs_drafts`."""
    model = ShapedModel(target)
    drafting = ShapedDraft(model if draft is None else ShapedModel(draft), model)
    methods = in_entries(
        [(text, catalogue.build(text)) for text in recipe.approximate],
        entry_bytes(target.shape),
        len(target.shape.layers),
    )
    chosen = plan(methods, _prompt(request.prompt), drafting, weighs_drafts=weighs_drafts)
    return _Estimator(target, drafting, chosen, request, machine).estimate()


def _prompt(length: int) -> Prompt:
    return Prompt(tuple(range(length)), ((0, 0),) * length, "")


@dataclass(frozen=True)
class _Estimator:
    """Counts the stages of one plan."""

    target: DecoderConfig
    draft: ShapedDraft
    plan: PrefillPlan
    request: CostRequest
    machine: Machine

    def estimate(self) -> CostEstimate:
        asked = self.request
        length = asked.prompt
        stages: list[CostStage] = []
        for method in self.plan.applied:
            stages += self._drafting(method, length)
            length = method.reads(length)
        entries = self._entries(length)
        bits = STORED_BITS[self.plan.bits] if self.plan.bits < 16 else None
        stored = self.machine.precision if bits is None else self._packed(bits)
        machine = replace(self.machine, precision=stored)
        stages += [*self._prefill(length), self._decode(machine, entries)]
        return CostEstimate(
            stages=tuple(_merged(stages)),
            exact=tuple(self._exact()),
            prompt=length,
            entries=entries,
            cache_bytes=asked.batch * self._request_bytes(stored, entries),
            capacity=capacity(self.target, machine, self._request_bytes(stored, entries)),
            notes=(*self.plan.notes, *self._notes()),
            outweighed=self.plan.outweighed,
        )

    def _packed(self, bits: float) -> Precision:
        return replace(self.machine.precision, cache=bits)

    def _request_bytes(self, stored: Precision, entries: float) -> float:
        """Bytes of a request's caches at the end of its answers."""
        whole, prompt = (
            cache_bytes(self.target, stored, tokens)
            for tokens in (entries + self.request.answer, entries)
        )
        return prompt + self.request.samples * (whole - prompt)

    def _exact(self) -> list[CostStage]:
        asked, machine = self.request, self.machine
        chunk = min(CHUNK, asked.prompt)
        prefill = prefill_phase(self.target, machine, asked.prompt, asked.batch, chunk)
        return [CostStage("prefill", prefill), self._decode(machine, asked.prompt)]

    def _entries(self, length: int) -> float:
        """Entries per layer and head after the prefill and its eviction."""
        evicting, layers = self.plan.evicting, len(self.target.shape.layers)
        return length if evicting is None else evicting.entries_after(length, layers)

    def _drafting(self, method: Approximation, length: int) -> Iterator[CostStage]:
        """The passes of a method's draft, and the scores by its attention."""
        if not method.uses_draft():
            return
        own = self.draft.serving(method)
        ahead = method.lookahead_tokens(self.request.answer)
        layers = own.layers if ahead else min(own.layers, method.draft_layers(own))
        config = own.model.first_layers(layers)
        one = Pass(length, 0, self.request.batch, logits=int(bool(ahead)), stops=not ahead)
        yield CostStage("draft", phase(config, self.machine, [(one, 1.0)]))
        if ahead > 1:
            steps = decode_phase(config, self.machine, length, ahead - 1, self.request.batch)
            yield CostStage("draft", steps)
        scored = method.scored_layers(own)
        rows = method.scored_queries()
        yield from self._scores("draft", config, len(scored), length, rows)
        if ahead > 1 and scored:
            pairs = sum(length + step for step in range(1, ahead))
            yield self._rows("draft", config, len(scored), pairs)

    def _prefill(self, length: int) -> Iterator[CostStage]:
        """The target's prefill, with the look-ahead that scores entries, and their scores."""
        evicting, asked = self.plan.evicting, self.request
        hooked = evicting is not None and not evicting.sees_whole_cache()
        ahead = 0
        if evicting is not None and evicting.uses_draft() and hooked:
            ahead = evicting.lookahead_tokens(asked.answer)
        whole = hooked or self.plan.sparse_prefill is not None
        chunk = length + ahead if whole else min(CHUNK, length)
        yield CostStage(
            "prefill",
            prefill_phase(self.target, self.machine, length + ahead, asked.batch, chunk),
        )
        if ahead:  # the last prompt token again, over the entries that stay
            again = Pass(1, self._entries(length) - 1, asked.batch)
            yield CostStage("prefill", phase(self.target, self.machine, [(again, 1.0)]))
        if evicting is not None and hooked:
            rows = evicting.scored_queries()
            rows = None if rows is None else rows + ahead
            yield from self._scores(
                "prefill", self.target, self.target.layers, length + ahead, rows
            )
        if evicting is not None:
            passes = evicting.scoring_tokens(length, _asked)
            found = [(Pass(tokens, length, asked.batch), 1.0) for tokens in passes if tokens]
            if found:
                yield CostStage("scores", phase(self.target, self.machine, found))

    def _scores(
        self, name: str, config: DecoderConfig, layers: int, length: int, rows: int | None
    ) -> Iterator[CostStage]:
        """Attention rows of the newest queries over the prompt, in so many layers."""
        queries = length if rows is None else min(rows, length)
        if queries and layers:
            yield self._rows(name, config, layers, window_pairs(config.heads, length, queries))

    def _rows(self, name: str, config: DecoderConfig, layers: int, pairs: float) -> CostStage:
        """Products of queries and keys, without values, of keys that are still on the chip."""
        flops = attention_flops(config.shape.layers[0], pairs) / 2 * self.request.batch
        operation = Operation("scores", Work(flops), layers)
        seconds = self.machine.seconds(operation, "prefill")
        return CostStage(name, Phase("prefill", operation.total, seconds, seconds, (operation,), 0))

    def _decode(self, machine: Machine, entries: float) -> CostStage:
        asked = self.request
        rows, steps = asked.batch * asked.samples, asked.answer - 1
        shared = entries if asked.samples > 1 else 0.0
        found = decode_phase(self.target, machine, entries, steps, rows, shared, asked.batch)
        return CostStage("decode", found)

    def _notes(self) -> Iterator[str]:
        end = self.request.prompt + self.request.answer
        if end > self.target.context:
            yield f"the context of {self.target.context:,} tokens is shorter than {end:,}"
        if self.plan.sparse_prefill is not None:
            yield "attention of a sparse prefill depends on the prompt: it is counted as dense"
        if self.plan.evicts_in_decode:
            yield "evictions during decode are counted as one after the prefill"


def _merged(stages: Sequence[CostStage]) -> list[CostStage]:
    """Stages of one name added up, in order of appearance."""
    found: dict[str, Phase] = {}
    for stage in stages:
        before = found.get(stage.name)
        found[stage.name] = stage.phase if before is None else before.plus(stage.phase)
    return [CostStage(name, phase) for name, phase in found.items()]


def _asked(text: str) -> int:
    """About the tokens of a turn that asks a text, whose tokenizer is unknown."""
    return len(text) // 4 + 8

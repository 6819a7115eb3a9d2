"""What the draft of a plan costs: its passes, its scores, and the memory that it holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from forethought.contracts.roles import Approximation
from forethought.cost.capacity import weight_bytes
from forethought.cost.flops import attention_flops, window_pairs
from forethought.cost.roofline import Machine, decode_phase, phase, prefill_phase
from forethought.cost.work import Pass
from forethought.models.decoder.config import DecoderConfig
from forethought.prefill.plan import PrefillPlan
from forethought.sessions.cost_stages import (
    CHUNK,
    CostRequest,
    CostStage,
    products,
    sparse_flops,
)
from forethought.sessions.shaped_draft import ShapedDraft

DRAFT = "draft"
"""The name of the stages."""


@dataclass(frozen=True)
class DraftCosts:
    """The draft of a plan under a request."""

    draft: ShapedDraft
    plan: PrefillPlan
    request: CostRequest
    machine: Machine

    def scoring(self, method: Approximation, length: int) -> Iterator[CostStage]:
        """The passes of a method's draft over a prompt, and the scores by its attention."""
        if not method.uses_draft():
            return
        own = self.draft.serving(method)
        ahead = method.lookahead_tokens(self.request.answer)
        layers = own.layers if ahead else min(own.layers, method.draft_layers(own))
        config = own.model.first_layers(layers)
        thinning = next((other for other in self.plan.applied if other.thins_draft()), None)
        sparse = None
        if thinning is not None:
            sparse = sparse_flops(thinning, config.shape, length, 0)
        one = Pass(
            length,
            0,
            self.request.batch,
            logits=int(bool(ahead)),
            stops=not ahead,
            attention=sparse,
        )
        yield CostStage(DRAFT, phase(config, self.machine, [(one, 1.0)]))
        if ahead > 1:
            steps = decode_phase(config, self.machine, length, ahead - 1, self.request.batch)
            yield CostStage(DRAFT, steps)
        scored, rows = len(method.scored_layers(own)), method.scored_queries()
        queries = length if rows is None else min(rows, length)
        if queries and scored:
            yield self._rows(config, scored, window_pairs(config.heads, length, queries))
        if ahead > 1 and scored:
            yield self._rows(config, scored, sum(length + step for step in range(1, ahead)))

    def _rows(self, config: DecoderConfig, layers: int, pairs: float) -> CostStage:
        """Products of queries and keys, without values."""
        flops = attention_flops(config.shape.layers[0], pairs) / 2 * self.request.batch
        return products(self.machine, DRAFT, flops * layers, layers)

    def writing(self, length: int) -> Iterator[CostStage]:
        """The prefill of the model that drafts the answer; its decode steps depend on the text."""
        if self._writer is not None:
            chunk = min(CHUNK, length)
            read = prefill_phase(self._writer, self.machine, length, self.request.batch, chunk)
            yield CostStage(DRAFT, read)

    @cached_property
    def _writer(self) -> DecoderConfig | None:
        """The layers that draft the answer; None if no model drafts it."""
        method = self.plan.drafting
        if method is None:
            return None
        own = self.draft.serving(method)
        layers = method.writer_layers(own.layers)
        return own.model.first_layers(layers) if layers else None

    def request_bytes(self, length: int) -> float:
        """Bytes of the cache of the model that drafts the answer, for each request."""
        if self._writer is None:
            return 0.0
        return self.request.cache_bytes(self._writer, self.machine.precision, length)

    @property
    def weight_bytes(self) -> float:
        """Bytes of the draft's weights, if a method runs another model than the target."""
        methods = [*self.plan.applied, *filter(None, [self.plan.drafting])]
        drafts = (self.draft.serving(method) for method in methods if method.uses_draft())
        if all(own.name == "self" for own in drafts):
            return 0.0
        return weight_bytes(self.draft.model.config, self.machine.precision)

"""The drafters of a run's sequences, and what the sequences of a tenant share."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from forethought.contracts.drafts import DraftWriter, Made
from forethought.contracts.roles import Network
from forethought.engine.correction import Correction, SparseWriter
from forethought.engine.drafting import Drafting
from forethought.engine.meter import Meter
from forethought.engine.sampling import SamplingParams
from forethought.prefill.draft_writer import DraftedPrompt, ModelWriter
from forethought.prefill.prepare import PreparedPrompt

_TENANTS = 64
"""Tenants whose drafters keep something; the one that has drafted least recently is forgotten."""


@dataclass
class DraftStore:
    """What drafters keep from one sequence to the next, for each tenant."""

    _held: dict[str, dict[Hashable, Any]] = field(default_factory=dict)

    def shared(self, tenant: str, what: Hashable, make: Callable[[], Made]) -> Made:
        """What was made first under this key."""
        own = self._held[tenant] = self._held.pop(tenant, {})
        if what not in own:
            own[what] = make()
        if len(self._held) > _TENANTS:
            del self._held[next(iter(self._held))]
        found: Made = own[what]
        return found


@dataclass(frozen=True)
class PromptDraftSource:
    """What the drafts of one sequence may use."""

    prepared: PreparedPrompt
    ends: frozenset[int]
    sampling: SamplingParams
    stream: int
    meter: Meter
    """Charged for a model that drafts."""
    store: DraftStore
    tenant: str = ""
    predicted: Sequence[int] = ()
    """The tokens of the answer that the client expects."""

    @property
    def prompt(self) -> Sequence[int]:
        """The tokens of the whole prompt."""
        return self.prepared.prompt.tokens

    @property
    def lookahead(self) -> Sequence[int]:
        """What a draft wrote behind the prompt to score it."""
        return self.prepared.draft.written

    def writer(self, layers: int | None = None) -> DraftWriter:
        """The draft model; with `layers`, the target's first layers."""
        known = self.prepared.writers
        found = known.setdefault(layers or 0, DraftedPrompt(self.prepared, layers))
        return ModelWriter(found, self.sampling, self.stream, self.meter)

    def shared(self, what: Hashable, make: Callable[[], Made]) -> Made:
        """What `make` made first under this key, for this tenant and tokenizer."""
        tokens = self.prepared.target.tokenizer.fingerprint
        return self.store.shared(self.tenant, (tokens, what), make)


def drafting_of(source: PromptDraftSource) -> Drafting | None:
    """The drafts of one sequence; None without a method that drafts."""
    prepared = source.prepared
    method = prepared.plan.drafting
    drafter = None if method is None else method.drafter(source)
    if drafter is None:
        return None
    return Drafting(drafter, prepared.target.shape, source.meter)


def correction_of(source: PromptDraftSource) -> Correction | None:
    """The sparse tokens of one sequence, which the target checks; None without such a method."""
    prepared, method = source.prepared, source.prepared.plan.thinning
    rule = None if method is None else method.correction()
    if rule is None:
        return None

    def sparse() -> Network:
        assert prepared.networks is not None, "its prompt is prefilled"
        return prepared.networks.sparse

    given = source.meter, source.sampling, source.stream, source.ends
    writer = SparseWriter(sparse, *given)
    return Correction(writer, prepared.target.shape, source.meter, writer=writer, rule=rule)

"""The drafters of a run's sequences, and what the sequences of a tenant share."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from forethought.contracts.drafts import Made
from forethought.engine.drafting import Drafting
from forethought.prefill.prepare import PreparedPrompt


@dataclass
class DraftStore:
    """What drafters keep from one sequence to the next, for each tenant."""

    _held: dict[tuple[str, Hashable], Any] = field(default_factory=dict)

    def shared(self, tenant: str, what: Hashable, make: Callable[[], Made]) -> Made:
        """What was made first under this key."""
        key = tenant, what
        if key not in self._held:
            self._held[key] = make()
        found: Made = self._held[key]
        return found


@dataclass(frozen=True)
class PromptDraftSource:
    """What the drafts behind one prompt may use."""

    prepared: PreparedPrompt
    ends: frozenset[int]
    store: DraftStore
    tenant: str = ""

    @property
    def prompt(self) -> Sequence[int]:
        """The tokens of the whole prompt."""
        return self.prepared.prompt.tokens

    def shared(self, what: Hashable, make: Callable[[], Made]) -> Made:
        """What `make` made first under this key, for this tenant and tokenizer."""
        tokens = self.prepared.target.tokenizer.fingerprint
        return self.store.shared(self.tenant, (tokens, what), make)


def drafting_of(source: PromptDraftSource) -> Drafting | None:
    """The drafts of one sequence; None without a method that drafts."""
    method = source.prepared.plan.drafting
    drafter = None if method is None else method.drafter(source)
    return None if drafter is None else Drafting(drafter, source.prepared.target.shape)

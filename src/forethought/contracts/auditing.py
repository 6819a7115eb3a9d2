"""The result of an audit: was a model trained on these texts in this order?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Audit:
    """A provenance test of one model."""

    model: str
    reference: str
    """The model whose losses are subtracted; empty for none."""
    sequences: int
    """Training sequences that were scored."""
    short: int
    """Sequences with fewer tokens than prefix and window together, which are left out."""
    prefix: int
    """Tokens of context before the window."""
    window: int
    """Tokens whose mean loss counts."""
    loss: float
    """Mean loss of the model, in nats per token."""
    reference_loss: float | None
    correlation: float
    """Spearman's, of place and loss; below 0 if later sequences have a lower loss."""
    p_value: float
    """One-sided, by permutation: exact if the order was random and the model never met it."""
    p_two_sided: float
    """By the t approximation."""
    permutations: int
    seed: int
    scored_tokens: int
    """Tokens that both models prefilled."""
    flops: float
    provenance: Mapping[str, str] = field(default_factory=dict)

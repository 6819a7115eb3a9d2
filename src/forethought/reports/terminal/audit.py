"""The result of an audit as terminal text."""

from __future__ import annotations

import textwrap

from forethought.contracts.auditing import Audit
from forethought.reports.terminal.printable import printable
from forethought.reports.units import count, flops

SMALL = 0.01
"""P-values below it count as evidence in the text."""


def audit_text(found: Audit, *, width: int) -> str:
    """The finding, and the figures that it rests on."""
    return "\n\n".join(textwrap.fill(part, width) for part in (finding(found), _basis(found)))


def finding(found: Audit) -> str:
    """The p-value, and its meaning."""
    model = printable(found.model)
    if found.p_value < SMALL:
        meaning = f"evidence that {model}, or a model it derives from, was trained in this order"
    else:
        meaning = (
            f"no evidence that {model} was trained in this order; the test may lack power, so "
            "this is no evidence against it"
        )
    return f"p = {found.p_value:.3g}: {meaning}."


def _basis(found: Audit) -> str:
    short = f", {found.short:,} shorter ones left out" if found.short else ""
    against = (
        f"minus that of {printable(found.reference)} ({found.reference_loss:.3f})"
        if found.reference_loss is not None
        else "without a reference model, which would add power"
    )
    return (
        f"Spearman's correlation {found.correlation:+.4f} of the place in the order with the mean "
        f"loss ({found.loss:.3f} nats per token) of {found.window} tokens behind {found.prefix}, "
        f"{against}; {found.sequences:,} sequences{short}. p is one-sided over "
        f"{found.permutations:,} random orders, and valid if the order was drawn at random; the t "
        f"approximation gives {found.p_two_sided:.2g}, two-sided. Cost: "
        f"{count(found.scored_tokens)} tokens, {flops(found.flops)}."
    )

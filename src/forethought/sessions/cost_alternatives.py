"""What a recipe would cost if the methods applied that a run skips for the cost of their drafts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from forethought.cost.roofline import Machine
from forethought.models.config_of import config_of
from forethought.models.decoder.config import DecoderConfig
from forethought.models.known_configs import smaller_relatives
from forethought.recipes.recipe import Recipe
from forethought.sessions.cost_estimate import CostEstimate, estimate
from forethought.sessions.cost_stages import CostRequest


@dataclass(frozen=True)
class CostAlternative:
    """A recipe that applies the skipped methods."""

    name: str
    recipe: Recipe
    estimate: CostEstimate
    draft: str = ""
    """The draft that it adds; empty if it applies the methods at any cost."""


def alternatives(
    recipe: Recipe,
    target: DecoderConfig,
    draft: DecoderConfig | None,
    request: CostRequest,
    machine: Machine,
) -> list[CostAlternative]:
    """The skipped methods with the recipe's own draft, and with the fastest known one."""
    forced = estimate(recipe, target, draft, request, machine, weighs_drafts=False)
    drafted = list(_drafted(recipe, target, request, machine))
    best = min(drafted, key=lambda one: one.estimate.seconds, default=None)
    own = CostAlternative("applied anyway", recipe, forced)
    return [own] if best is None else [own, best]


def _drafted(
    recipe: Recipe, target: DecoderConfig, request: CostRequest, machine: Machine
) -> Iterator[CostAlternative]:
    """The recipe with each draft that fits the prompt and saves more than it costs."""
    for name in smaller_relatives(recipe.model):
        draft = config_of(name)
        other = replace(recipe, draft=name)
        found = estimate(other, target, draft, request, machine)
        if not found.outweighed and request.prompt <= draft.context:
            yield CostAlternative(f"-d {name}", other, found, name)

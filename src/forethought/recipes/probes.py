"""The probes that a recipe's strategy, scorer and confidence methods read."""

from __future__ import annotations

from collections.abc import Sequence

from forethought import catalogue
from forethought.contracts.roles import StateProbe
from forethought.recipes.recipe import Recipe


def probes_of(recipe: Recipe) -> tuple[StateProbe, ...]:
    """Each probe once, by key; raises BadDataError for a file that holds none."""
    built = [catalogue.build(recipe.search, "strategies")] if recipe.search else []
    scorers = [one for one in (recipe.scorer, *recipe.confidence) if one]
    built += [catalogue.build(one, "scorers") for one in scorers]
    found: Sequence[StateProbe] = [probe for one in built for probe in one.probes]
    return tuple({one.key: one for one in found}.values())

"""The share of the roofline that the decode steps of a run reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from forethought.cost.hardware import Hardware
from forethought.cost.precision import STORED_BITS, precision
from forethought.cost.roofline import Machine, decode_phase
from forethought.models.config_of import local_config
from forethought.models.known_configs import published_in_four_bits
from forethought.recipes.recipe import Recipe


def roofline_share(run: Mapping[str, Any], machine: Hardware) -> dict[str, Any] | None:
    """Which limit bounds a decode step of a run's document, and how near it comes.

    None for runs without decode steps of a single sequence, and for models of unknown sizes.
    """
    recipe, seconds = Recipe.parse(run["recipe"]), run["timing"]["per_token"]
    alone = not recipe.search and not run["candidates"]
    config = local_config(recipe.model) if alone and seconds else None
    steps = run["cost"]["output_tokens"] - 1
    if config is None or steps < 1:
        return None
    weights = run["settings"].get("weights", "auto")
    if weights == "auto":
        weights = "int4" if published_in_four_bits(recipe.model) else "bf16"
    stored = precision(weights, here=True)
    bits = min([16, *(method_bits(text) for text in recipe.approximate)])
    stored = replace(stored, cache=STORED_BITS[bits])
    roof = Machine(replace(machine, measured=None), stored, weights)
    found = decode_phase(config, roof, _entries(run["kept"]), steps)
    return {"bound": found.bound, "share": found.seconds / steps / seconds}


def method_bits(text: str) -> int:
    """Bits of the cache under a method."""
    from forethought import catalogue

    return int(catalogue.build(text).cache_bits())


def _entries(kept: Mapping[str, Any]) -> float:
    """Cache entries a head after the prefill."""
    return float(sum(kept["shares"]) or kept["prompt_tokens"])

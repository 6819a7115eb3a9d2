"""The sampling parameters that a recipe states."""

from __future__ import annotations

from forethought.engine.sampling import SamplingParams
from forethought.recipes.recipe import Recipe


def sampling_of(recipe: Recipe) -> SamplingParams:
    """How a recipe chooses its tokens."""
    return SamplingParams(
        temperature=recipe.warmth,
        top_k=recipe.top_k,
        top_p=recipe.top_p,
        min_p=recipe.min_p,
        seed=recipe.seed,
        top_logprobs=recipe.logprobs,
    )

"""The recipe that a command line describes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from forethought.cli import options
from forethought.cli.grammar import Given
from forethought.contracts import spelling
from forethought.contracts.errors import UsageError
from forethought.recipes.recipe import Recipe


def compared(given: Given) -> Recipe:
    """What the recipes of `compare` and `evaluate` have in common."""
    return replace(
        named_alone(given),
        max_tokens=given[options.MAX_TOKENS],
        budget=given[options.SEARCH_BUDGET],
        temperature=given[options.TEMPERATURE],
        top_p=given[options.TOP_P],
        weights=given[options.WEIGHTS],
        seed=given[options.SEED],
    )


def named(model: str) -> Recipe:
    """The recipe that --model names: a model alone, or with a draft and methods."""
    return Recipe(model=model) if Path(model).exists() else Recipe.parse(model)


def named_alone(given: Given) -> Recipe:
    """What --model and --draft name, for verbs whose --model names no search."""
    base = named(given[options.MODEL])
    if base.search:
        raise UsageError(
            f"--model names the search {base.search}, which would not be done",
            "name strategies as recipes, and leave --model a model and its methods",
        )
    return replace(base, draft=given[options.DRAFT] or base.draft)


def methods(given: Sequence[str]) -> list[str]:
    """The spellings of all methods, where each text may hold several joined by +."""
    return [one for text in given for one in spelling.split(text, "+")]

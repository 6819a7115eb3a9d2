"""The recipe that a command line describes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from forethought.cli.grammar import Given
from forethought.contracts import spelling
from forethought.contracts.errors import UsageError
from forethought.recipes.recipe import Recipe


def described(given: Given) -> Recipe:
    """The recipe of --model, with the fields that the other flags state."""
    stated = dict(given.recipe)
    base = named(stated.pop("model", Recipe.model))
    strategy, scorer = _search(stated.get("search"))
    either = {
        "draft": stated.get("draft"),
        "search": strategy,
        "scorer": stated.get("scorer") or scorer,
    }
    stated |= {name: text or getattr(base, name) for name, text in either.items()}
    added = methods(stated.get("approximate", ()))
    return replace(base, **stated | {"approximate": (*base.approximate, *added)})


def described_alone(given: Given) -> Recipe:
    """As `described`, for verbs whose --model names no search."""
    found = described(given)
    if found.search:
        raise UsageError(
            f"--model names the search {found.search}, which this verb does not run",
            "name strategies as recipes, and leave --model a model and its methods",
        )
    return found


def named(model: str) -> Recipe:
    """The recipe that --model names: a model alone, or with a draft and methods."""
    return Recipe(model=model) if Path(model).exists() else Recipe.parse(model)


def methods(given: Sequence[str]) -> list[str]:
    """The spellings of all methods, where each text may hold several joined by +."""
    return [one for text in given for one in spelling.split(text, "+")]


def _search(text: str | None) -> tuple[str, str]:
    """The strategy that --search names, and the scorer if it names one behind an @."""
    if text is not None and not text.strip():
        raise UsageError("--search names no strategy", "name one behind -s, or leave out -s")
    strategy, scorer = (*spelling.split(text or "", "@"), "", "")[:2]
    return strategy, scorer

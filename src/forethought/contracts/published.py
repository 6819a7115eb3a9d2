"""The standing of a method or recipe: as its paper, as its authors' code, or a variant of ours."""

from __future__ import annotations

from dataclasses import dataclass

PROTECT = "protect"
"""The documented exception: the chat template and the question stay."""


@dataclass(frozen=True)
class Published:
    """Whether a recipe is as published."""

    source: str = ""
    """A source or `NO_METHOD` of `contracts.sources`; empty if a method does not state it."""
    changed: tuple[str, ...] = ()
    """The settings besides budgets and resources that differ from the published ones."""

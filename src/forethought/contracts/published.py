"""The standing of a method or recipe: as its paper, as its authors' code, or a variant of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SOURCES: Mapping[str, str] = {
    "paper": "the settings are the paper's",
    "code": "the settings are those of the authors' code, which differ from the paper",
    "ours": "a method or a variant of this project",
    "baseline": "a yardstick without a method of its own",
}
"""The first word of a method's note `Published:`, with its meaning."""
PROTECT = "protect"
"""The documented exception: the chat template and the question stay."""


@dataclass(frozen=True)
class Published:
    """Whether a recipe is as published."""

    source: str = ""
    """A key of `SOURCES`; empty if a method does not state it."""
    changed: tuple[str, ...] = ()
    """The settings besides budgets and resources that differ from the published ones."""


def source_of(note: str) -> str:
    """The source that a note `Published:` begins with; empty for any other text."""
    first = note.partition(";")[0].strip()
    return first if first in SOURCES else ""

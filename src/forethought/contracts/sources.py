"""The first word of a note `Published:`, and the legend of the column that shows it.

No dataclasses: `forethought list` imports this module, and their import takes too long for it.
"""

from __future__ import annotations

SOURCES = ("paper", "code", "ours", "baseline")
"""The first word of a method's note `Published:`.

A difference that can change which tokens or entries are kept or attended to makes a method `ours`,
unless it follows a named public port: then the note names it, as in `code (kvpress)`. Two things
are no difference: `protect`, and one choice for a query group by its mean, as in kvpress.
"""
NO_METHOD = "none"
"""The source of a recipe without a method."""
LEGEND = (
    "`paper`: the paper's settings. `code`: those of the authors' code, where they differ from the "
    "paper. `†`: the same, but the chat template and the question are always kept (`protect`). "
    "`changed`: other settings than published. `ours`: a method or variant of this project. "
    "`baseline`: a reference for comparison, from no paper. `\u2013`: no method."
)
"""The meaning of the column `published`."""


def source_of(note: str) -> str:
    """The source that a note `Published:` begins with; empty for any other text."""
    first = note.partition(";")[0].partition(" (")[0].strip()
    return first if first in SOURCES else ""

"""A comparison as a file, by the file's ending, and as JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial

from forethought.contracts.comparison import Comparison
from forethought.reports.comparison import comparison_csv, comparison_markdown
from forethought.reports.document import MEASURED, document


def forms(*, timing: bool) -> dict[str, Callable[[Comparison], str]]:
    """How a comparison is written to a file, by the file's ending."""

    def page(found: Comparison) -> str:
        # Imported when a page is wanted, since its template need not be read for every help.
        from forethought.reports.html.comparison import comparison_html

        return comparison_html(found, title="Forethought comparison", timing=timing)

    return {
        ".html": page,
        ".md": partial(comparison_markdown, timing=timing),
        ".csv": partial(comparison_csv, timing=timing),
        ".json": lambda found: comparison_document(found, timing=timing) + "\n",
    }


def comparison_document(found: Comparison, *, timing: bool) -> str:
    """A comparison as JSON; without `timing` nothing that a clock measured is in it."""
    return document(asdict(found), () if timing else MEASURED)

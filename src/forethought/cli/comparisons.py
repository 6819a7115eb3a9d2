"""File formats of a comparison."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial

from forethought.contracts.comparison import Comparison
from forethought.reports.comparison import comparison_csv, comparison_markdown
from forethought.reports.document import MEASURED, document


def forms(*, timing: bool) -> dict[str, Callable[[Comparison], str]]:
    """The writer of each file format, by file extension."""

    def page(found: Comparison) -> str:
        # Imported late: only a page needs the template.
        from forethought.reports.html.comparison import comparison_html

        return comparison_html(found, title="Forethought comparison", timing=timing)

    return {
        ".html": page,
        ".md": partial(comparison_markdown, timing=timing),
        ".csv": partial(comparison_csv, timing=timing),
        ".json": lambda found: comparison_document(found, timing=timing) + "\n",
    }


def comparison_document(found: Comparison, *, timing: bool) -> str:
    """A comparison as JSON; without `timing` it holds no measured seconds."""
    return document(asdict(found), () if timing else MEASURED)

"""`forethought evaluate`: recipes on tasks, resumable."""

from __future__ import annotations

import sys
from pathlib import Path

from forethought.cli import files, options
from forethought.cli.arena import arena, check_whole
from forethought.cli.comparisons import comparison_document, forms
from forethought.cli.grammar import Given
from forethought.cli.terminal import columns, has_colour, report, report_json, write
from forethought.contracts.errors import UsageError
from forethought.reports.comparison import comparison_csv, comparison_markdown, comparison_text


def run(given: Given) -> int:
    """Score recipes on tasks; run the same line again to resume after a stop."""
    json, csv, markdown = (given[one] for one in (options.JSON, options.CSV, options.MARKDOWN))
    if json + csv + markdown > 1:
        raise UsageError("--json, --csv and --markdown exclude each other", "choose one of them")
    written = forms(timing=False)
    for file in given[options.REPORTS]:
        files.check(Path(file), written)
    found = arena(given[options.RECIPES] or ["exact"], given).run()
    for file in given[options.REPORTS]:
        files.write(Path(file), written[Path(file).suffix](found))
    if json:
        report_json(comparison_document(found, timing=False))
    elif csv:
        write(sys.stdout, comparison_csv(found, timing=False))
    elif markdown:
        write(sys.stdout, comparison_markdown(found, timing=False) + "\n")
    else:
        width, colour = columns(sys.stdout), has_colour(sys.stdout)
        report(comparison_text(found, width=width, colour=colour, timing=False))
    check_whole(found)
    return 0

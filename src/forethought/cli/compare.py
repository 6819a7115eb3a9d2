"""`forethought compare`: recipes compared with the exact run, as a table or a file."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path

from forethought.cli import files, options
from forethought.cli.arena import arena, check_whole
from forethought.cli.comparisons import comparison_document, forms
from forethought.cli.grammar import Given
from forethought.cli.terminal import columns, has_colour, report, report_json
from forethought.reports.comparison import comparison_text


def run(given: Given) -> int:
    """Compare recipes with the exact run: quality against bytes, time and FLOPs."""
    written = forms(timing=True)
    for file in given[options.REPORTS]:
        files.check(Path(file), written)
    found = arena(["exact", *given[options.RECIPES]], given).run(searches=True)
    command = shlex.join(["forethought", *sys.argv[1:]])
    found = replace(found, provenance={**found.provenance, "command": command})
    for file in given[options.REPORTS]:
        files.write(Path(file), written[Path(file).suffix](found))
    if given[options.JSON]:
        report_json(comparison_document(found, timing=True))
    else:
        width, colour = columns(sys.stdout), has_colour(sys.stdout)
        report(comparison_text(found, width=width, colour=colour))
    check_whole(found)
    return 0

"""`forethought show`: the record of one method, strategy, scorer or task."""

from __future__ import annotations

import json
import sys

from forethought import catalogue
from forethought.cli import options
from forethought.cli.grammar import Given
from forethought.cli.terminal import columns, has_colour, report, report_json
from forethought.reports.terminal import table


def run(given: Given) -> int:
    """Show a method, strategy, scorer or task: its paper, exact setting and parameters."""
    entry = _entry(given[options.NAME])
    if given[options.JSON]:
        report_json(json.dumps(entry.document(), ensure_ascii=False, indent=2))
    else:
        report(table.method(entry, width=columns(sys.stdout), colour=has_colour(sys.stdout)))
    return 0


def _entry(name: str) -> catalogue.Entry:
    kinds: tuple[catalogue.Kind, ...] = ("methods", "strategies", "scorers", "tasks")
    known = {name: file for kind in kinds for name, file in catalogue.files(kind).items()}
    return catalogue.among(known, name, "method")

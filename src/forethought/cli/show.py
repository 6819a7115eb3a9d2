"""`forethought show`: all that is known of one method."""

from __future__ import annotations

import json as json_format
import sys
from typing import Annotated

from typer import Argument

from forethought import catalogue
from forethought.cli import options
from forethought.cli.list import method_record
from forethought.cli.screen import columns, has_colour, report
from forethought.reports import table


def show(
    name: Annotated[str, Argument(help="A method or task of `forethought list`.")],
    json: options.Json = False,
) -> int:
    """Show a method or a task: its paper, what it loses, its parameters."""
    tasks = catalogue.entries("tasks")
    entry = tasks.get(name.lower().replace("_", "-")) or catalogue.find(name)
    if json:
        report(json_format.dumps(method_record(entry), ensure_ascii=False, indent=2))
    else:
        report(table.method(entry, width=columns(sys.stdout), colour=has_colour(sys.stdout)))
    return 0

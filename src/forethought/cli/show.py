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
from forethought.contracts.errors import UnknownNameError
from forethought.reports import table


def show(
    name: Annotated[str, Argument(help="A name from `forethought list` or `list tasks`.")],
    json: options.Json = False,
) -> int:
    """Show a method, strategy, scorer or task: its paper, what it loses, its parameters."""
    entry = _entry(name)
    if json:
        report(json_format.dumps(method_record(entry), ensure_ascii=False, indent=2))
    else:
        report(table.method(entry, width=columns(sys.stdout), colour=has_colour(sys.stdout)))
    return 0


def _entry(name: str) -> catalogue.Entry:
    kinds: tuple[catalogue.Kind, ...] = ("methods", "strategies", "scorers", "tasks")
    known = {name: entry for kind in kinds for name, entry in catalogue.entries(kind).items()}
    plain = name.strip().lower().replace("_", "-")
    if plain not in known:
        raise UnknownNameError.among("method", name, known)
    return known[plain]

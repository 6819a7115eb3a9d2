"""`forethought list`: methods by family, or models."""

from __future__ import annotations

import sys
from textwrap import fill
from typing import Any

from forethought import catalogue
from forethought.cli import options
from forethought.cli.grammar import Given
from forethought.cli.terminal import columns, has_colour, report, report_json
from forethought.contracts.errors import UnknownNameError
from forethought.contracts.sources import LEGEND, source_of
from forethought.reports.terminal.table import groups as groups_table

_KINDS: tuple[catalogue.Kind, ...] = ("methods", "strategies", "scorers", "tasks")
_MORE = "`forethought show NAME` lists deviations."


def run(given: Given) -> int:
    """List methods, strategies and scorers, one family of them, tasks, or models."""
    family = given[options.FAMILY]
    groups = {} if family == "models" else _groups(family)
    if given[options.JSON]:
        import json

        found = {name: [_entry(file) for file in group] for name, group in groups.items()}
        report_json(json.dumps(found or {"models": _models()}, ensure_ascii=False, indent=2))
        return 0
    rows = {name: list(map(_row, group)) for name, group in groups.items()} or {
        "models": [(one["name"], one["summary"]) for one in _models()]
    }
    report(groups_table(rows, width=columns(sys.stdout), colour=has_colour(sys.stdout)))
    if any(text.endswith("]") for group in rows.values() for _, text in group):
        report("\n" + fill(f"{LEGEND} {_MORE}", columns(sys.stdout)))
    return 0


def _groups(family: str | None) -> dict[str, list[catalogue.File]]:
    """One family, the families of one kind, or those of all methods, strategies and scorers."""
    if family is None:
        return {
            name: group for kind in _KINDS[:3] for name, group in catalogue.by_family(kind).items()
        }
    if family in _KINDS:
        return catalogue.by_family(family)
    name = family.lower().replace("_", "-")
    known = {name: group for kind in _KINDS for name, group in catalogue.by_family(kind).items()}
    if name not in known:
        raise UnknownNameError.among("family", family, [*known, *_KINDS, "models"])
    return {name: known[name]}


def _row(file: catalogue.File) -> tuple[str, str]:
    """The name and the summary, with the first word of the note `Published:`."""
    summary, notes = file.record()
    source = source_of(notes.get("Published", ""))
    return file.name, f"{summary} [{source}]" if source else summary


def _entry(file: catalogue.File) -> dict[str, Any]:
    return catalogue.entry(file).document()


def _models() -> list[dict[str, Any]]:
    # Imported late: the module that fetches models is slow to import.
    from forethought.models.sources.wheel import WHEEL_MODELS
    from forethought.reports.units import memory

    return [
        {"name": model.name, "summary": f"{model.summary} ({memory(model.bytes)})"}
        for model in WHEEL_MODELS.values()
    ]

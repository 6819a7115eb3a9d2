"""`forethought list`: methods by family, or models."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from forethought import catalogue
from forethought.cli import options
from forethought.cli.grammar import Given
from forethought.cli.terminal import columns, has_colour, report, report_json
from forethought.contracts.errors import UnknownNameError
from forethought.reports import table
from forethought.reports.units import memory

_KINDS: tuple[catalogue.Kind, ...] = ("methods", "strategies", "scorers", "tasks")


def run(given: Given) -> int:
    """List methods, strategies and scorers, one family of them, tasks, or models."""
    groups = _groups(given[options.FAMILY])
    if given[options.JSON]:
        report_json(json.dumps(groups, ensure_ascii=False, indent=2))
        return 0
    rows = {
        name: [(one["name"], one["summary"]) for one in group] for name, group in groups.items()
    }
    report(table.groups(rows, width=columns(sys.stdout), colour=has_colour(sys.stdout)))
    return 0


def _groups(family: str | None) -> dict[str, list[dict[str, Any]]]:
    if family == "models":
        return {"models": _models()}
    kinds = {str(kind): _families(kind) for kind in _KINDS}
    if family is None:
        return kinds["methods"] | kinds["strategies"] | kinds["scorers"]
    if family in kinds:
        return kinds[family]
    name = family.lower().replace("_", "-")
    known = {name: group for groups in kinds.values() for name, group in groups.items()}
    if name not in known:
        raise UnknownNameError.among("family", family, [*known, *_KINDS, "models"])
    return {name: known[name]}


def _families(kind: catalogue.Kind) -> dict[str, list[dict[str, Any]]]:
    return {
        name: [method_record(entry) for entry in group]
        for name, group in catalogue.families(kind).items()
    }


def method_record(entry: catalogue.Entry) -> dict[str, Any]:
    """A method as plain JSON values."""
    return asdict(entry) | {"path": str(entry.path)}


def _models() -> list[dict[str, Any]]:
    # Imported here since what fetches models is slow to import, and only this list needs it.
    from forethought.models.from_wheel import WHEEL_MODELS

    return [
        {"name": model.name, "summary": f"{model.summary} ({memory(model.bytes)})"}
        for model in WHEEL_MODELS.values()
    ]

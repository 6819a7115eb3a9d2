"""`forethought runs`: the stored runs of servers and of `ask --spend`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import asdict
from typing import Any

from forethought.cli import options
from forethought.cli.grammar import Given
from forethought.cli.screen import Screen
from forethought.cli.terminal import columns, has_colour, report, report_json
from forethought.contracts.errors import UnknownNameError, UsageError
from forethought.contracts.records import Event
from forethought.reports.terminal import decisions, table
from forethought.reports.terminal.panel import panel
from forethought.storage.location import served_runs_file
from forethought.storage.run_log import RunLog, ServedRun

_LIST = "list"
_SHOWS = "show", "replay", "export"
_MOST = 200


def run(given: Given) -> int:
    """List the runs, show one of them, print its events again, or export it as JSON."""
    action, *names = given[options.RUNS_ACTION] or (_LIST,)
    if action not in (_LIST, *_SHOWS):
        raise UnknownNameError.among("action of runs", action, (_LIST, *_SHOWS))
    if len(names) != (action != _LIST):
        raise UsageError(
            f"runs {action} takes {'one id' if action != _LIST else 'no id'}, not {len(names)}",
            "see: forethought runs list",
        )
    if given[options.WHY] and action != "show":
        raise UsageError("--why explains one run", "for example: forethought runs show ID --why")
    with closing(RunLog.open(served_runs_file())) as log:
        if action == _LIST:
            return _list(log.summaries(limit=_MOST), as_json=given[options.JSON])
        found = _found(log, names[0])
    return {"show": _show, "replay": _replay, "export": _export}[action](found, given)


def _found(log: RunLog, identifier: str) -> ServedRun:
    if found := log.get(identifier):
        return found
    known = [one["id"] for one in log.summaries(limit=_MOST)]
    if not known:
        raise UsageError(
            f"no run is stored, so none is called {identifier!r}",
            "store one: forethought ask QUESTION --spend auto",
        )
    raise UnknownNameError.among("stored run", identifier, known)


def _list(rows: list[dict[str, Any]], *, as_json: bool) -> int:
    if as_json:
        report_json(json.dumps(rows, ensure_ascii=False, indent=2))
        return 0
    told = [(one["id"], _row(one)) for one in rows]
    report(table.table(told, width=columns(sys.stdout)) if told else "no runs are stored")
    return 0


def _row(one: dict[str, Any]) -> str:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(one["created"]))
    state = one.get("finish") or one.get("state", "")
    return f"{when} · {state} · {one['recipe']} · {one['question']}"


def _show(found: ServedRun, given: Given) -> int:
    """The answer and its panel; with --why, every decision too."""
    if given[options.JSON]:
        return _export(found, given)
    if found.failed is not None:
        report(f"{found.answer}\n\nfailed: {found.events[-1].data.get('message', '')}")
        return 0
    document = found.document
    shown = panel(document, width=columns(sys.stdout), colour=has_colour(sys.stdout))
    why = decisions.lines(document) if given[options.WHY] else []
    if given[options.WHY] and not why:
        raise UsageError(
            f"run {found.id} has no decisions", "ask with --spend auto, which records them"
        )
    report("\n".join([f"{found.question}\n\n{document['answer']}", "", shown, *why]))
    return 0


def _replay(found: ServedRun, given: Given) -> int:
    """The events again, as `ask` shows them, or as one JSON document."""
    if given[options.JSON]:
        report_json(json.dumps([asdict(one) for one in found.events], ensure_ascii=False, indent=2))
        return 0

    def events() -> Generator[Event, None, None]:
        yield from found.events

    streams = any(one.kind == "token" for one in found.events)
    return Screen(sys.stdout, sys.stderr, "text", streams).show(events())


def _export(found: ServedRun, given: Given) -> int:
    """Everything that is stored of the run, as one JSON document."""
    held = {**vars(found), "events": [asdict(one) for one in found.events]}
    report_json(json.dumps(held, ensure_ascii=False, indent=2))
    return 0

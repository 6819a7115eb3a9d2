"""Prints the events of a run: the answer to standard output, the rest to standard error."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, TextIO

from forethought.cli.stored_probe import with_roofline, with_usd
from forethought.cli.terminal import columns, has_colour, report, report_json, write
from forethought.contracts.records import Event
from forethought.reports.terminal.panel import panel

EXIT_CODES = {"budget": 3, "abstained": 5, "interrupted": 130}
"""Exit codes by finish reason; 0 for all others."""

Form = Literal["text", "json", "jsonl"]


@dataclass
class Screen:
    """The streams and the format of a run's output."""

    out: TextIO
    err: TextIO
    form: Form = "text"
    """The answer alone, one document at the end, or one line per event."""
    streams: bool = True
    """Whether the answer is printed token by token; several answers print at the end."""
    quiet: bool = False
    verbose: bool = False
    beside: Mapping[str, Any] = field(default_factory=dict)
    """Options outside the recipe that the panel shows with it."""
    usd_per_hour: float | None = None
    """The price of this machine, for runs without a price of their own."""
    run: dict[str, Any] | None = None
    """The last run shown."""
    events: list[Event] = field(default_factory=list)
    """All events shown."""

    def show(self, events: Generator[Event, None, None]) -> int:
        """Show all events and return the exit code; Ctrl-C keeps the partial answer."""
        try:
            finish = self._show_all(events)
        except KeyboardInterrupt:
            with suppress(StopIteration):  # the run has ended: only its panel is cut off
                self._show(events.throw(KeyboardInterrupt()))
            finish = self._show_all(events)
        return EXIT_CODES.get(finish, 0)

    def _show_all(self, events: Generator[Event, None, None]) -> str:
        finish = "interrupted"
        for event in events:
            self._show(event)
            finish = event.data["run"]["finish"] if event.kind == "done" else finish
        return finish

    def _show(self, event: Event) -> None:
        if event.kind == "done":
            run = with_usd(with_roofline(event.data["run"]), self.usd_per_hour)
            event = replace(event, data={**event.data, "run": run})
            self.run = event.data["run"]
        self.events.append(event)
        if self.form == "jsonl":
            report_json(json.dumps(asdict(event), ensure_ascii=False), self.out)
        elif self.form == "json":
            if event.kind == "done":
                report_json(json.dumps(self.run, ensure_ascii=False, indent=2), self.out)
        elif event.kind == "token":
            if self.streams:
                write(self.out, event.data["text"])
        elif event.kind == "done":
            self._finish(event.data["run"])
        elif self.verbose:
            write(self.err, _progress(event) + "\n")

    def _finish(self, run: dict[str, Any]) -> None:
        if self.streams:
            write(self.out, "" if run["answer"].endswith("\n") else "\n")
        elif run["finish"] != "abstained":
            write(self.out, "\n".join(_numbered(run) or [run["answer"]]) + "\n")
        if not self.quiet:
            shown = run | {"settings": {**run["settings"], **self.beside}}
            lines = panel(shown, width=columns(self.err), colour=has_colour(self.err))
            report("\n" + lines, self.err)


def _numbered(run: dict[str, Any]) -> list[str]:
    """The answers of several samples, numbered; empty for a search."""
    drawn = run["candidates"] if "samples" in run["settings"] else []
    return [f"[{n}] {one['text']}" for n, one in enumerate(drawn, 1)]


def _progress(event: Event) -> str:
    if event.kind == "stage":
        return f"{event.data['name']} {event.data['seconds']:.2f} s"
    return f"{event.kind}: {event.data.get('text', '')}"

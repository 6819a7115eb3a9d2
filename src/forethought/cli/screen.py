"""Shows the events of a run: the answer on standard output, all else on standard error."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Generator
from dataclasses import asdict, dataclass
from typing import Any, Literal, TextIO

from forethought.contracts.records import Event
from forethought.reports.panel import panel

EXIT_CODES = {"budget": 3, "interrupted": 130}
"""By how a run finished; 0 for every other way."""

Form = Literal["text", "json", "jsonl"]
_WIDTH_WHEN_PIPED = 100


@dataclass
class Screen:
    """Where a run is shown, and how."""

    out: TextIO
    err: TextIO
    form: Form = "text"
    """The answer alone, one document at the end, or one line an event."""
    streams: bool = True
    """Whether the answer is written token by token; several answers come one after another."""
    quiet: bool = False
    verbose: bool = False
    run: dict[str, Any] | None = None
    """The run that was shown last."""

    def show(self, events: Generator[Event, None, None]) -> int:
        """Show all events and return the exit code; Ctrl-C keeps what there is."""
        try:
            finish = self._show_all(events)
        except KeyboardInterrupt:
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
        self.run = event.data["run"] if event.kind == "done" else self.run
        if self.form == "jsonl":
            self._write(json.dumps(asdict(event), ensure_ascii=False) + "\n")
        elif self.form == "json":
            if event.kind == "done":
                self._write(json.dumps(event.data["run"], ensure_ascii=False, indent=2) + "\n")
        elif event.kind == "token":
            if self.streams:
                self._write(event.data["text"])
        elif event.kind == "done":
            self._finish(event.data["run"])
        elif self.verbose:
            self.err.write(_progress(event) + "\n")

    def _finish(self, run: dict[str, Any]) -> None:
        if self.streams:
            self._write("" if run["answer"].endswith("\n") else "\n")
        else:
            self._write("\n".join(_numbered(run) or [run["answer"]]) + "\n")
        if not self.quiet:
            lines = panel(run, width=columns(self.err), colour=has_colour(self.err))
            self.err.write("\n" + lines + "\n")
            self.err.flush()

    def _write(self, text: str) -> None:
        self.out.write(text)
        self.out.flush()


def columns(stream: TextIO) -> int:
    """How wide lines may be on this stream."""
    return shutil.get_terminal_size().columns if stream.isatty() else _WIDTH_WHEN_PIPED


def has_colour(stream: TextIO) -> bool:
    """Whether this stream is a terminal that wants colour."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return stream.isatty() and not plain


def report(text: str) -> None:
    """Write a whole report to standard output."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _numbered(run: dict[str, Any]) -> list[str]:
    """The answers of several samples; nothing where a search chose one."""
    drawn = run["candidates"] if "samples" in run["settings"] else []
    return [f"[{n}] {one['text']}" for n, one in enumerate(drawn, 1)]


def _progress(event: Event) -> str:
    if event.kind == "stage":
        return f"{event.data['name']} {event.data['seconds']:.2f} s"
    return f"{event.kind}: {event.data.get('text', '')}"

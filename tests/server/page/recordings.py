"""Runs recorded with the command line, as the page's tests serve them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from forethought.contracts.records import Event, Prompt

FOLDER = Path(__file__).parent / "runs"


@cache
def events(name: str) -> tuple[Event, ...]:
    """The events of a recorded run, as `ask --jsonl` printed them."""
    lines = (FOLDER / f"{name}.jsonl").read_text("utf-8").splitlines()
    return tuple(Event(**json.loads(line)) for line in lines)


def document(name: str) -> dict[str, Any]:
    return events(name)[-1].data["run"]


@cache
def prompt(name: str) -> Prompt:
    held = json.loads((FOLDER / f"{name}.prompt.json").read_text("utf-8"))
    spans = tuple((start, stop) for start, stop in held["spans"])
    return Prompt(
        tokens=tuple(range(len(spans))),
        spans=spans,
        text=held["text"],
        protected=frozenset(held["protected"]),
        content=tuple(held["content"]),
    )


@cache
def question(name: str) -> str:
    held = json.loads((FOLDER / f"{name}.prompt.json").read_text("utf-8"))
    return held["question"]

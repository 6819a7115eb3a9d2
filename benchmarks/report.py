"""Rows of a benchmark as JSON lines and as a Markdown table."""

from __future__ import annotations

import datetime
import json
import platform
import shlex
import statistics
import sys
from pathlib import Path
from typing import Any

LOG = Path(__file__).parent.parent / "docs" / "lab-log.md"


def hardware() -> str:
    """Processor and cores, in words."""
    import os

    info = Path("/proc/cpuinfo")
    said = dict(
        (part.strip() for part in line.split(":", 1))
        for line in reversed(info.read_text().splitlines() if info.exists() else [])
        if ":" in line
    )
    name = said.get("model name", platform.processor())
    return f"{os.cpu_count()} cores, {name}, family {said.get('cpu family', 'unknown')}"


def medians(samples: dict[str, list[float]]) -> dict[str, float]:
    """The median of each system's samples."""
    return {name: statistics.median(values) for name, values in samples.items()}


def table(columns: list[str], rows: list[dict[str, Any]]) -> str:
    """Rows as a Markdown table."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += [
        "| " + " | ".join(_cell(row.get(name, "")) for name in columns) + " |" for row in rows
    ]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def publish(title: str, columns: list[str], rows: list[dict[str, Any]], log: bool) -> None:
    """Print JSON lines to standard output, and a table; with `log`, append it to the lab log."""
    for row in rows:
        print(json.dumps(row))
    command = "python " + shlex.join(sys.argv)
    entry = f"\n### {datetime.date.today()} · {title}\n\n{hardware()}; `{command}`\n\n"
    entry += table(columns, rows) + "\n"
    print(entry, file=sys.stderr)
    if log:
        with LOG.open("a") as file:
            file.write(entry)

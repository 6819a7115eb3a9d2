"""Memory of one process that answers questions whose prompts all have another length.

    python benchmarks/memory.py smollm2 --asks 500 [--log]

Lengths come in a shuffled order, so that time to first token does not follow from the order.
Memory is the median after each of the last 25 asks. Takes at least 50 asks.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
from typing import Any

from prose import prose
from report import publish

COLUMNS = ["asks", "memory MiB", "since the first 50", "median first token s"]


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--asks", type=int, default=500)
    parser.add_argument("--log", action="store_true", help="append the table to docs/lab-log.md")
    options = parser.parse_args()
    publish(f"memory, {options.model}", COLUMNS, measure(options.model, options.asks), options.log)


def measure(model: str, asks: int) -> list[dict[str, Any]]:
    """Rows of the table, one for each tenth of the asks."""
    from forethought.models.hardware.native_settings import settle

    settle(os.environ)  # as the command line does, before torch starts
    from forethought.recipes.recipe import Recipe
    from forethought.sessions.session import Session

    session = Session.open(Recipe(model=model, max_tokens=2))
    words = prose().split()
    lengths = [20 + 2 * ask for ask in range(asks)]
    random.Random(0).shuffle(lengths)
    rows: list[dict[str, Any]] = []
    first_tokens: list[float] = []
    memory: list[float] = []  # single readings swing with what the allocator holds
    for number, length in enumerate(lengths, 1):
        *_, done = session.stream("What is this about?", " ".join(words[:length]))
        first_tokens.append(done.data["run"]["timing"]["first_token"])
        memory.append(_memory())
        if number % (asks // 10) == 0:
            middle = statistics.median(memory[-25:])
            base = statistics.median(memory[25:50]) if number >= 50 else middle
            rows.append({
                "asks": number,
                "memory MiB": middle,
                "since the first 50": middle - base,
                "median first token s": statistics.median(first_tokens),
            })  # fmt: skip
            first_tokens.clear()
    return rows


def _memory() -> float:
    """MiB of this process that lie in memory."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


if __name__ == "__main__":
    main()

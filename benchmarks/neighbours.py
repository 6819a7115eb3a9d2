"""Rates of one process alone, and of several beside each other on the same cores.

    python benchmarks/neighbours.py smollm2 --settings "" GOMP_SPINCOUNT=300000 [--log]

Each setting is a list of environment variables joined by commas; the empty one is what the
command line sets. Figures are medians over the rounds, of the slowest process.
"""

from __future__ import annotations

import argparse
from statistics import median
from typing import Any

from peers import Peer
from prose import prose
from report import publish

COLUMNS = [
    "settings", "processes", "prefill tok/s", "decode tok/s", "prefill × alone", "decode × alone",
]  # fmt: skip


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--settings", nargs="+", default=[""])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--log", action="store_true", help="append the table to docs/lab-log.md")
    options = parser.parse_args()
    publish(f"neighbours, {options.model}", COLUMNS, measure(options), options.log)


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of the table; settings take turns, so that all see the machine in the same states."""
    from forethought.models.load import load

    tokens = load(options.model).tokenizer.encode(prose())[: options.tokens]
    counts = (1, options.processes)
    found: dict[tuple[str, int], list[dict[str, float]]] = {}
    for _ in range(options.rounds):
        for settings in options.settings:
            for count in counts:
                rates = _together(options.model, settings, count, tokens, options.seconds)
                found.setdefault((settings, count), []).append(rates)
    middle = {
        key: {what: median(rates[what] for rates in rounds) for what in rounds[0]}
        for key, rounds in found.items()
    }
    return [_row(middle, settings, count) for settings in options.settings for count in counts]


def _together(
    model: str, settings: str, count: int, tokens: list[int], seconds: float
) -> dict[str, float]:
    """The rates of the slowest of `count` processes that run at the same time."""
    environment = dict(pair.split("=") for pair in settings.split(",") if pair)
    peers = [Peer("ours", model, **environment) for _ in range(count)]
    for peer in peers:  # loaded and warm, one after the other
        peer.ask(call="rates", tokens=tokens, seconds=0.5)
    for peer in peers:
        peer.begin(call="rates", tokens=tokens, seconds=seconds)
    rates = [peer.finish() for peer in peers]
    for peer in peers:
        peer.close()
    return {what: min(rate[what] for rate in rates) for what in rates[0]}


def _row(
    middle: dict[tuple[str, int], dict[str, float]], settings: str, count: int
) -> dict[str, Any]:
    rates, alone = middle[settings, count], middle[settings, 1]
    return {
        "settings": settings or "ours",
        "processes": count,
        "prefill tok/s": rates["prefill"],
        "decode tok/s": rates["decode"],
        "prefill × alone": rates["prefill"] / alone["prefill"],
        "decode × alone": rates["decode"] / alone["decode"],
    }


if __name__ == "__main__":
    main()

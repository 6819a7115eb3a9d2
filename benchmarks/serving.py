"""Streaming clients of one server or of several in turn: throughput, latency and errors.

    python benchmarks/serving.py ours=http://127.0.0.1:8000/v1#smollm2 \\
        theirs=http://127.0.0.1:8001/v1#smollm2 --clients 64 --seconds 60

Every server gets the same prompts, whose length is in tokens of the first server's model. Each
client sends its next request when the last one ends. Tokens are those that the server counts in
`usage`, and chunks where a stream is cut. Latencies are of chunks with text: the median and the
99th percentile over all streams, in milliseconds.

llama_cpp.server answers one request at a time, and by default a new request ends the one before:
start it with --interrupt_requests false.

--long-every adds prompts of --long-tokens beside the clients; --leaving has a share of the clients
close their streams at random; --idle holds further connections open. --pid reads the server's
resident memory each second, and --metric a value of its /metrics.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from report import publish
from serving_load import Load, measured, summary, words_per_token

COLUMNS = [
    "server", "errors", "tokens/s", "× alone", "first ms", "first p99", "inter ms", "inter p99",
    "beside long p99", "long first s", "client cores", "MiB/min",
]  # fmt: skip


def main() -> None:
    """Measure the servers one after the other, and publish."""
    options = parsed()
    rows, documents, words = [], [], 0.0
    for place in options.servers:
        name, _, address = place.partition("=")
        base, _, model = address.partition("#")
        load = load_of(options, base.rstrip("/"), model)
        # Equal prompts for all servers, although some of them count no tokens.
        words = words or asyncio.run(words_per_token(load))
        found = figures(replace(load, words=words), options)
        documents.append({"server": name, **found})
        rows.append(row(name, found))
    if options.save:
        Path(options.save).write_text(json.dumps(documents, indent=1) + "\n")
    title = f"{options.clients} streaming clients for {options.seconds:g} s"
    publish(title, COLUMNS, rows, options.log)
    sys.exit(any(one["errors"] for one in documents))


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("servers", nargs="+", metavar="NAME=BASE#MODEL")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--alone", type=float, default=0.0, help="seconds of one client before")
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--prompt-tokens", type=int, default=64)
    parser.add_argument("--long-every", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--long-tokens", type=int, default=6000)
    parser.add_argument("--leaving", type=float, default=0.0, metavar="SHARE")
    parser.add_argument("--idle", type=int, default=0, metavar="CONNECTIONS")
    parser.add_argument("--idle-path", default="/health")
    parser.add_argument("--completions", action="store_true", help="not /chat/completions")
    parser.add_argument("--extra", type=json.loads, default={}, help="more fields of the body")
    parser.add_argument("--key", default="")
    parser.add_argument("--pid", type=int, help="the server's process")
    parser.add_argument("--metric", action="append", default=[], help="a name in its /metrics")
    parser.add_argument("--save", metavar="FILE.json")
    parser.add_argument("--log", action="store_true", help="append the table to docs/lab-log.md")
    return parser.parse_args()


def load_of(options: argparse.Namespace, base: str, model: str) -> Load:
    """The load that the command line describes, for one server."""
    return Load(
        base=base,
        model=model,
        clients=options.clients,
        seconds=options.seconds,
        max_tokens=options.max_tokens,
        prompt_tokens=options.prompt_tokens,
        key=options.key,
        extra=options.extra,
        completions=options.completions,
        leaving=options.leaving,
        long_every=options.long_every,
        long_tokens=options.long_tokens,
        idle=options.idle,
        idle_path=options.idle_path,
    )


def figures(load: Load, options: argparse.Namespace) -> dict[str, Any]:
    """The figures of a load, after those of one client alone."""
    found: dict[str, Any] = {"load": asdict(replace(load, key=""))}
    if options.alone:
        single = replace(
            load, clients=1, seconds=options.alone, seed=1, leaving=0, long_every=0, idle=0
        )
        found["alone"] = summary(asyncio.run(measured(single)))
    reading = watch(load.base, options.pid, options.metric)
    return {**found, **summary(asyncio.run(measured(load, reading)))}


def watch(base: str, pid: int | None, names: list[str]) -> Callable[[], dict[str, float]] | None:
    """A reading of the server's memory and metrics; None if neither is asked for."""
    if pid is None and not names:
        return None

    def read() -> dict[str, float]:
        found = {} if pid is None else {"mib": resident_bytes(pid) / (1 << 20)}
        return found | (metrics(base, names) if names else {})

    return read


def resident_bytes(pid: int) -> int:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def metrics(base: str, names: list[str]) -> dict[str, float]:
    """The sum over labels of each named metric."""
    with urlopen(f"{base.removesuffix('/v1')}/metrics", timeout=10) as reply:
        lines = [line.rpartition(" ") for line in reply.read().decode().splitlines()]
    return {
        name: sum(float(value) for key, _, value in lines if key.partition("{")[0] == name)
        for name in names
    }


def row(name: str, found: dict[str, Any]) -> dict[str, Any]:
    """The figures of one server as a row of the table."""
    rate, alone = found["tokens_per_second"], found.get("alone", {}).get("tokens_per_second")
    return {
        "server": name,
        "errors": sum(found["errors"].values()),
        "tokens/s": rate,
        "× alone": rate / alone if alone else "",
        "first ms": _milliseconds(found["first_token"], "median"),
        "first p99": _milliseconds(found["first_token"], "p99"),
        "inter ms": _milliseconds(found["inter_token"], "median"),
        "inter p99": _milliseconds(found["inter_token"], "p99"),
        "beside long p99": _milliseconds(found["inter_token_beside_long_prompts"], "p99"),
        "long first s": found["long_first_token"].get("median", ""),
        "client cores": found["client_cores"],
        "MiB/min": _slope([(one["at"], one["mib"]) for one in found["watched"] if "mib" in one]),
    }


def _milliseconds(spread: dict[str, float], which: str) -> float | str:
    return 1000 * spread[which] if spread else ""


def _slope(readings: list[tuple[float, float]]) -> float | str:
    """MiB per minute of the second half of the readings, after caches have filled."""
    late = readings[len(readings) // 2 :]
    if len(late) < 2:
        return ""
    seconds, values = zip(*late, strict=True)
    return 60 * statistics.linear_regression(seconds, values).slope


if __name__ == "__main__":
    main()

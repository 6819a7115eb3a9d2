"""Streaming clients of one server or of several in turn: throughput, latency and errors.

    python benchmarks/serving.py ours=http://127.0.0.1:8000/v1#smollm2 \\
        theirs=http://127.0.0.1:8001/v1#smollm2 --clients 64 --seconds 60

    python benchmarks/serving.py ours=http://127.0.0.1:8000/v1#smollm2 \\
        theirs=http://127.0.0.1:8001/v1#smollm2 --rounds 3 --alone 8 \\
        --start "ours=forethought serve --port 8000 -q" --start "theirs=other-server --port 8001"

Every server gets the same prompts, whose length is in tokens of the first server's model. Each
client sends its next request when the last one ends. Tokens are those that the server counts in
`usage`, and chunks where a stream is cut. Latencies are of chunks with text: the median and the
99th percentile over all streams, in milliseconds.

--start has the benchmark run a server only while it is measured: start, /health, one request,
--alone, the load, SIGTERM. --rounds repeats the whole sequence with other prompts; ratios to the
first server are then the median and the range over rounds.

llama_cpp.server answers one request at a time, and by default a new request ends the one before:
start it with --interrupt_requests false.

--long-every adds prompts of --long-tokens beside the clients; --leaving has a share of the clients
close their streams at random; --idle holds further connections open. Resident memory is read each
second of a server that --start has started or --pid names, and --metric adds a value of its
/metrics. --save keeps all figures, and these readings as CSV.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from report import publish
from server_process import ServerProcess, process_bytes, started
from serving_load import Load, measured, summary, words_per_token
from serving_tables import (
    COLUMNS,
    COMPARED,
    MEMORY_COLUMNS,
    memory_rows,
    ratios,
    row,
    write_readings,
)


@dataclass(frozen=True)
class Server:
    """A server of the command line."""

    name: str
    base: str
    """The address up to the version."""
    model: str
    command: str
    """What starts it; empty for a server that runs already."""


def main() -> None:
    """Measure the servers one after the other, and publish."""
    # Without a handler SIGTERM would leave the started server behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    options = parsed()
    documents: list[dict[str, Any]] = []
    failed = False
    try:
        for found in measurements(options):
            documents.append(found)
            if options.save:
                save(Path(options.save), documents)
    except RuntimeError as error:
        print(f"error: {error}", file=sys.stderr)
        failed = True
    if documents:
        publish_all(documents, options)
    sys.exit(failed or any(one["errors"] for one in documents))


def measurements(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The figures of each server in each round, in the order in which they run."""
    words = 0.0
    for number in range(1, options.rounds + 1):
        for server in options.servers:
            address = server.base.removesuffix("/v1")
            running = (
                started(server.name, server.command, address) if server.command else nullcontext()
            )
            with running as process:
                load = load_of(options, server, seed=2 * number)
                # The first answers warm a server up. Those that count no tokens get equal prompts.
                counted = asyncio.run(words_per_token(load))
                words = words or counted
                found = figures(replace(load, words=words), options, process)
            yield {"round": number, "server": server.name, "command": server.command, **found}


def save(path: Path, documents: list[dict[str, Any]]) -> None:
    """All figures as JSON, and the readings as CSV in a file beside it."""
    path.write_text(json.dumps(documents, indent=1) + "\n")
    write_readings(path.with_suffix(".csv"), documents)


def publish_all(documents: list[dict[str, Any]], options: argparse.Namespace) -> None:
    """The tables: measurements, ratios to the first server, memory over time."""
    rows = [row(one) for one in documents]
    title = f"{options.clients} streaming clients for {options.seconds:g} s"
    publish(title, COLUMNS, rows, options.log)
    if against := ratios(rows):
        publish(f"Ratios, {title}", ["server", *COMPARED], against, options.log)
    if memory := [each for one in documents for each in memory_rows(one)]:
        publish(f"Memory, {title}", MEMORY_COLUMNS, memory, options.log)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("servers", nargs="+", metavar="NAME=BASE#MODEL")
    parser.add_argument("--start", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--rounds", type=int, default=1)
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
    parser.add_argument("--pid", type=int, help="the process of one server that runs already")
    parser.add_argument("--metric", action="append", default=[], help="a name in its /metrics")
    parser.add_argument("--save", metavar="FILE.json")
    parser.add_argument("--log", action="store_true", help="append the tables to docs/lab-log.md")
    options = parser.parse_args()
    commands = dict(one.split("=", 1) if "=" in one else (one, "") for one in options.start)
    options.servers = [named(place, commands) for place in options.servers]
    if wrong := problem(options, commands):
        parser.error(wrong)
    return options


def named(place: str, commands: dict[str, str]) -> Server:
    """The server that an argument names, with its command if it has one."""
    name, _, address = place.partition("=")
    base, _, model = address.partition("#")
    return Server(name, base.rstrip("/"), model, commands.get(name, ""))


def problem(options: argparse.Namespace, commands: dict[str, str]) -> str:
    """Why the servers of the command line cannot be measured; empty if they can."""
    names = [one.name for one in options.servers]
    if len(set(names)) < len(names):
        return f"each server needs a name of its own: {' '.join(names)}"
    for name, command in commands.items():
        if name not in names or not command:
            return f"--start {name}: NAME=COMMAND with NAME one of {' '.join(names)}"
    if options.pid is not None and (len(names) > 1 or commands):
        return "--pid is for one server that runs already"
    return "" if options.rounds >= 1 else f"--rounds {options.rounds}: at least 1"


def load_of(options: argparse.Namespace, server: Server, seed: int) -> Load:
    """The load that the command line describes, for one server."""
    return Load(
        base=server.base,
        model=server.model,
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
        seed=seed,
    )


def figures(
    load: Load, options: argparse.Namespace, process: ServerProcess | None
) -> dict[str, Any]:
    """The figures of a load, after those of one client alone."""
    found: dict[str, Any] = {"load": asdict(replace(load, key=""))}
    if options.alone:
        single = replace(
            load, clients=1, seconds=options.alone, seed=load.seed + 1, leaving=0, long_every=0,
            idle=0,
        )  # fmt: skip
        found["alone"] = summary(asyncio.run(measured(single)))
    reading = watch(load.base, memory_of(process, options.pid), options.metric)
    found |= summary(asyncio.run(measured(load, reading)))
    if process:
        process.check_alive()
    return found


def memory_of(process: ServerProcess | None, pid: int | None) -> Callable[[], int] | None:
    """Where a server's resident memory is read; None for a server of unknown process."""
    if process:
        return process.resident_bytes
    return None if pid is None else lambda: process_bytes(pid)


def watch(
    base: str, memory: Callable[[], int] | None, names: list[str]
) -> Callable[[], dict[str, float]] | None:
    """A reading of the server's memory and metrics; None if there is neither."""
    if memory is None and not names:
        return None

    def read() -> dict[str, float]:
        found = {} if memory is None else {"resident_bytes": float(memory())}
        return found | (metrics(base, names) if names else {})

    return read


def metrics(base: str, names: list[str]) -> dict[str, float]:
    """The sum over labels of each named metric that the server has; none while it is too busy."""
    try:
        with urlopen(f"{base.removesuffix('/v1')}/metrics", timeout=10) as reply:
            lines = [line.rpartition(" ") for line in reply.read().decode().splitlines()]
    except OSError:
        return {}
    found: dict[str, float] = {}
    for key, _, value in lines:
        name = key.partition("{")[0]
        if name in names:
            found[name] = found.get(name, 0.0) + float(value)
    return found


if __name__ == "__main__":
    main()

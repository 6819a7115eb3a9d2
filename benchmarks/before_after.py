"""This checkout beside another one: decode, samples, first token, search and shared prefill.

    python benchmarks/before_after.py ../other smollm2 --tokens 1000 [--rounds 5] [--log]

Each checkout runs in a process of its own with its own source folder; both stay loaded and take
turns, so that both see the machine in the same states. Figures are medians over the rounds; a ratio
above 1 means that this checkout is faster.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from prose import hidden, needle, passage, prose
from report import publish

COLUMNS = ["model", "workload", "this s", "other s", "×"]
METHODS = ["snapkv", "pyramidkv", "streaming-llm", "knorm"]


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path, help="another checkout")
    parser.add_argument("model")
    parser.add_argument("--tokens", type=int, default=1000, help="of the prompt")
    parser.add_argument("--new", type=int, default=96, help="tokens of an answer")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", help="workloads; all where none is named")
    parser.add_argument("--log", action="store_true", help="append the table to docs/lab-log.md")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options)
    else:
        publish(f"before and after, {options.model}", COLUMNS, measure(options), options.log)


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each workload."""
    here = Path(__file__).parents[1]
    workers = {name: Worker(root, options) for name, root in
               (("this", here), ("other", options.other.resolve()))}  # fmt: skip
    names = options.only or list(workloads(options))
    rows = []
    for name in names:
        seconds: dict[str, list[float]] = {"this": [], "other": []}
        for place in range(options.rounds + 1):
            order = list(workers) if place % 2 else list(workers)[::-1]
            for who in order:
                taken = workers[who].ask(name)
                if place:  # the first round warms up
                    seconds[who].append(taken)
        one, other = (statistics.median(seconds[who]) for who in ("this", "other"))
        row = {"this s": f"{one:.3g}", "other s": f"{other:.3g}", "×": f"{other / one:.3f}"}
        rows.append({"model": options.model, "workload": name, **row})
        print(rows[-1], file=sys.stderr)
    for worker in workers.values():
        worker.close()
    return rows


class Worker:
    """A checkout in a process of its own."""

    def __init__(self, root: Path, options: argparse.Namespace) -> None:
        command = [sys.executable, __file__, str(root), options.model, "--worker"]
        command += ["--tokens", str(options.tokens), "--new", str(options.new)]
        environment = {**os.environ, "PYTHONPATH": str(root / "src")}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def ask(self, workload: str) -> float:
        """The seconds of one workload."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(workload, file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("a worker died; its error stands above")
        return float(json.loads(line))

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def work(options: argparse.Namespace) -> None:
    """Run workloads as they are named, one a line."""
    known = workloads(options)
    for line in sys.stdin:
        print(json.dumps(known[line.strip()]()), flush=True)


def workloads(options: argparse.Namespace) -> dict[str, Callable[[], float]]:
    """Each returns the seconds that it is judged by."""
    sessions: dict[str, Any] = {}

    def asked(spelling: str = "", **settings: Any) -> dict[str, Any]:
        from forethought import Recipe, Session

        key = spelling + repr(settings)
        if key not in sessions:
            recipe = replace(Recipe.parse(options.model + spelling), **settings)
            sessions[key] = Session.open(recipe)
        document, question = text_of(options, sessions[key])
        *_, done = sessions[key].stream(question, document)
        found: dict[str, Any] = done.data["run"]
        return found

    new = {"max_tokens": options.new}
    warm = {**new, "temperature": 1.0}
    return {
        "decode": lambda: per_step(asked(**new)),
        "decode 8 samples": lambda: per_step(asked(samples=8, **warm)),
        "first token, exact": lambda: asked(max_tokens=1)["timing"]["first_token"],
        "first token, snapkv": lambda: asked("+snapkv", max_tokens=1)["timing"]["first_token"],
        "first token, specpc-shallow": lambda: asked("+specpc-shallow", max_tokens=1)["timing"][
            "first_token"
        ],
        "search of 8": lambda: asked("@majority-vote(n=8)", **new)["cost"]["seconds"],
        "beam search": lambda: asked("@beam(n=4)@likelihood", **new)["cost"]["seconds"],
        "2,000 tokens, searched": lambda: asked("@greedy", max_tokens=2000)["cost"]["seconds"],
        "shared prefill": lambda: together(options),
    }


def per_step(run: dict[str, Any]) -> float:
    """Seconds of a decode step, by the wall clock."""
    longest = max([one["tokens"] for one in run["candidates"]] or [run["cost"]["output_tokens"]])
    seconds: float = run["cost"]["seconds"] - run["timing"]["first_token"]
    return seconds / max(1, longest - 1)


def text_of(options: argparse.Namespace, session: Any) -> tuple[str, str]:
    """A document of so many tokens, and a question on it."""
    tokenizer = session.target.tokenizer
    text = passage(prose(), options.tokens * 6, seed=0)
    document = tokenizer.decode(tokenizer.encode(text)[: options.tokens])
    fact, _, _ = needle(0)
    return hidden(fact, document, 0.5), "Tell a long story about what stands there."


def together(options: argparse.Namespace) -> float:
    """Seconds of a comparison of five recipes on one long prompt, nothing kept."""
    from forethought import compare

    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        compare(
            METHODS, [f"niah-single-2(tokens={options.tokens}, count=1)"], options.model,
            keeps=[128], results=Path(folder) / "results",
        )  # fmt: skip
        return time.perf_counter() - start


if __name__ == "__main__":
    main()

"""Prompt compression in front of a server: seconds to the first token, and needles found.

    python benchmarks/gateway.py --llama PYTHON --tokens 6000 --seeds 4
    python benchmarks/gateway.py --url 'http://127.0.0.1:8000/v1#big' --draft smollm2

PYTHON is an interpreter with `llama-cpp-python[server]`; its server then runs the draft's own GGUF
file. No prompt repeats, so the server's prefix cache does not help. Probing the server and loading
the draft are not timed. With --local, the same recipes also run on the draft's model as target.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.request import urlopen

from prose import hidden, needle, passage, prose
from report import publish

COLUMNS = [
    "target", "recipe", "first token s", "× exact", "draft s", "found", "of", "prompt", "sent",
]  # fmt: skip


@dataclass
class Seen:
    """The runs of one recipe on one target."""

    first: list[float] = field(default_factory=list)
    draft: list[float] = field(default_factory=list)
    found: list[bool] = field(default_factory=list)
    prompt: list[int] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="a server that runs")
    parser.add_argument("--llama", help="an interpreter with llama-cpp-python[server]")
    parser.add_argument("--draft", default="smollm2")
    parser.add_argument("--tokens", type=int, default=6000)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--depths", type=float, nargs="+", default=[0.5])
    parser.add_argument("--recipes", nargs="*", default=["specpc-shallow(keep=0.25)"])
    parser.add_argument("--direct", action="store_true", help="ask in the needle's own words")
    parser.add_argument("--local", action="store_true", help="the draft's model as target too")
    parser.add_argument("--log", action="store_true", help="append the table to docs/lab-log.md")
    options = parser.parse_args()
    threads = len(os.sched_getaffinity(0))
    with serving(options.llama, options.draft, options.tokens + 512, threads) as url:
        rows = measure(options, options.url or url)
    publish(f"gateway, {options.tokens:,} tokens", COLUMNS, rows, options.log)


@contextmanager
def serving(python: str | None, model: str, context: int, threads: int) -> Iterator[str]:
    """The address of llama.cpp's server with a model's GGUF file; empty without an interpreter."""
    if python is None:
        yield ""
        return
    from forethought.models.load import gguf_of

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "model": gguf_of(model), "model_alias": "big", "host": "127.0.0.1", "port": port,
        "n_ctx": max(context, 1024), "n_threads": threads, "n_threads_batch": threads,
    }  # fmt: skip
    options = [part for name, value in settings.items() for part in (f"--{name}", str(value))]
    quiet: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([python, "-m", "llama_cpp.server", *options], **quiet) as server:
        try:
            wait_for(f"http://127.0.0.1:{port}/v1/models", server)
            yield f"http://127.0.0.1:{port}/v1#big"
        finally:
            server.terminate()


def wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    """Wait until a server answers."""
    while server.poll() is None:
        try:
            with urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise SystemExit("the server ended")


def measure(options: argparse.Namespace, url: str) -> list[dict[str, Any]]:
    """Rows of the table."""
    from forethought.models.load import load
    from forethought.recipes.recipe import Recipe
    from forethought.sessions.ask import ask

    base = Recipe(model=url, draft=options.draft, max_tokens=24)
    targets = [("server", base)] + [("local", replace(base, model=options.draft))] * options.local
    recipes = [
        (where, name, replace(one, approximate=(name,) if name else (), draft=draft))
        for name in ("", *options.recipes)
        for where, one in targets
        for draft in (one.draft if name else "self",)
    ]
    tokenizer = load(options.draft).tokenizer
    seen = {(where, name): Seen() for where, name, _ in recipes}
    # The first round warms up, on a short prompt.
    for seed in range(-1, options.seeds):
        sentence, question, answer = needle(max(seed, 0), options.direct)
        text = passage(prose(), options.tokens * 6, max(seed, 0))
        text = tokenizer.decode(tokenizer.encode(text)[: options.tokens if seed >= 0 else 512])
        for depth in options.depths if seed >= 0 else [0.5]:
            document = hidden(text, sentence, depth)
            for where, name, recipe in recipes:
                run = ask(question, recipe, document=document)
                if seed >= 0:
                    add(seen[where, name], run, answer)
                    told = run["timing"], repr(run["answer"][:60])
                    print(where, name or "exact", seed, depth, *told, flush=True)
    return rows_of(seen)


def add(seen: Seen, run: dict[str, Any], answer: str) -> None:
    """Record the run of a question."""
    timing, cost = run["timing"], run["cost"]
    seen.first.append(timing["first_token"])
    seen.draft.append(timing["stages"].get("draft", 0.0))
    seen.found.append(answer in run["answer"])
    seen.sent.append(cost["prompt_tokens"] + cost["cached_tokens"])
    seen.prompt.append(run["kept"]["of"] or seen.sent[-1])


def rows_of(seen: dict[tuple[str, str], Seen]) -> list[dict[str, Any]]:
    """A row for each target and recipe, with medians."""
    exact = {where: statistics.median(one.first) for (where, name), one in seen.items() if not name}
    return [
        {
            "target": where,
            "recipe": name or "exact",
            "first token s": statistics.median(one.first),
            "× exact": statistics.median(one.first) / exact[where],
            "draft s": statistics.median(one.draft),
            "found": sum(one.found),
            "of": len(one.found),
            "prompt": round(statistics.median(one.prompt)),
            "sent": round(statistics.median(one.sent)),
        }
        for (where, name), one in seen.items()
    ]


if __name__ == "__main__":
    main()

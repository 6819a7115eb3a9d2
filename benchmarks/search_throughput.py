"""Tokens a second of a search beside as many answers one by one.

    python benchmarks/search_throughput.py qwen-coder-0.5b --n 8 [--document 1000] [--log]

One process, the same question: a majority vote of n answers, and n plain answers drawn one
after another, in turns. A plain answer reads the prompt; the search reads it once. Figures are
medians over the rounds; tokens are those written.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace
from typing import Any

from peers import THREADS
from prose import passage, prose
from report import publish

COLUMNS = ["model", "prompt", "n", "one by one tok/s", "search tok/s", "×"]
QUESTION = (
    "A shop sells pens at 3 for 2 dollars and notebooks at 4 dollars each. Ada buys 12 pens and "
    "5 notebooks and pays with a 50 dollar note. How much change does she get? Think step by step."
)


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--n", type=int, default=8)
    parser.add_argument("--document", type=int, default=0, help="tokens of prose before it")
    parser.add_argument("--new", type=int, default=128, help="most tokens of an answer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--log", action="store_true", help="append the table to docs/lab-log.md")
    options = parser.parse_args()
    title = f"search throughput, {options.model}"
    publish(title, COLUMNS, [measure(options)], options.log)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The row of the table."""
    import torch

    from forethought.recipes.recipe import Recipe
    from forethought.sessions.session import Session

    torch.set_num_threads(THREADS)
    plain = Session.open(Recipe(model=options.model, temperature=0.7, max_tokens=options.new))
    encode, decode = plain.target.tokenizer.encode, plain.target.tokenizer.decode
    text = passage(prose(), options.document * 6, seed=0) if options.document else ""
    document = decode(encode(text)[: options.document])
    vote = replace(plain, recipe=replace(plain.recipe, search=f"majority-vote(n={options.n})"))

    def timed(sessions: list[Any]) -> tuple[float, int, int]:
        start, tokens, length = time.perf_counter(), 0, 0
        for session in sessions:
            *_, done = session.stream(QUESTION, document)
            tokens += done.data["run"]["cost"]["output_tokens"]
            length = done.data["run"]["kept"]["of"]
        return tokens / (time.perf_counter() - start), tokens, length

    alone = [replace(plain, recipe=replace(plain.recipe, seed=seed)) for seed in range(options.n)]
    timed([vote])  # warms up
    rates: list[tuple[float, float]] = []
    for _ in range(options.rounds):
        one, _, _ = timed(alone)
        together, _, length = timed([vote])
        rates.append((one, together))
    one, together = (statistics.median(rate[k] for rate in rates) for k in (0, 1))
    return {
        "model": options.model,
        "prompt": length,
        "n": options.n,
        "one by one tok/s": one,
        "search tok/s": together,
        "×": together / one,
    }


if __name__ == "__main__":
    main()

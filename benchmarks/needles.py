"""Needles in real prose: how often each recipe's answer holds the hidden number.

    python benchmarks/needles.py qwen-coder-1.5b --tokens 4000 --depths 0.1 0.5 0.9 --seeds 4 \\
        --recipes "" "+draft(qwen-coder-0.5b)+specpc-shallow(keep=0.25)" "+snapkv(keep=512)"
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import replace
from typing import Any

from prose import hidden, needle, passage, prose
from report import publish

COLUMNS = ["recipe", "found", "of", "by depth", "first token s (median)", "read", "cache MiB"]


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--tokens", type=int, default=4000)
    parser.add_argument("--depths", type=float, nargs="+", default=[0.1, 0.5, 0.9])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--recipes", nargs="+", default=[""])
    parser.add_argument("--direct", action="store_true", help="ask in the needle's own words")
    parser.add_argument("--text", help="a file to take the prose from")
    parser.add_argument("--log", action="store_true", help="append the table to docs/lab-log.md")
    options = parser.parse_args()
    rows = [score(options, recipe) for recipe in options.recipes]
    publish(f"needles, {options.model}, {options.tokens:,} tokens", COLUMNS, rows, options.log)


def score(options: argparse.Namespace, recipe: str) -> dict[str, Any]:
    """One recipe on every depth and seed."""
    from forethought.recipes.recipe import Recipe
    from forethought.sessions.session import Session

    parsed = replace(Recipe.parse(options.model + recipe), max_tokens=24)
    session = Session.open(parsed)
    tokenizer = session.target.tokenizer
    found: dict[float, list[bool]] = {depth: [] for depth in options.depths}
    runs = []
    for seed in range(options.seeds):
        sentence, question, answer = needle(seed, options.direct)
        text = passage(prose(options.text), options.tokens * 6, seed)
        text = tokenizer.decode(tokenizer.encode(text)[: options.tokens])
        for depth in options.depths:
            *_, done = session.stream(question, hidden(text, sentence, depth))
            runs.append(done.data["run"])
            found[depth].append(answer in runs[-1]["answer"])
            print(recipe or "exact", seed, depth, found[depth][-1], repr(runs[-1]["answer"][:60]),
                  flush=True)  # fmt: skip
    return {
        "recipe": options.model + recipe,
        "found": sum(map(sum, found.values())),
        "of": sum(map(len, found.values())),
        "by depth": " ".join(f"{d:g}: {sum(v)}/{len(v)}" for d, v in found.items()),
        "first token s (median)": statistics.median(r["timing"]["first_token"] for r in runs),
        "read": round(statistics.median(r["cost"]["prompt_tokens"] for r in runs)),
        "cache MiB": statistics.median(r["kept"]["cache_bytes"] for r in runs) / 2**20,
    }


if __name__ == "__main__":
    main()

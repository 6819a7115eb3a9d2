"""Seconds to the first token of later questions on one document, with a prefix cache.

    python benchmarks/prefix_cache.py smollm2 --tokens 4000 \\
        --recipes "+specpc-shallow(keep=1024)" "+snapkv(keep=1024)"

Recipes are continuations of the model's name; the exact run is always there. Each recipe asks its
questions of a live session with a prefix cache, then of one without. The table compares the first
question with the median of the later ones, and counts later answers that equal those of the second
session.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from dataclasses import dataclass, replace
from typing import Any

from peers import THREADS
from prose import passage, prose
from report import publish

COLUMNS = [
    "recipe", "prompt", "first s", "later s", "× sooner", "cached", "draft first", "draft later",
    "same answers", "cache MiB",
]  # fmt: skip
CACHE_BYTES = 4 << 30


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--tokens", type=int, default=4000)
    parser.add_argument("--recipes", nargs="*", default=[])
    parser.add_argument("--questions", type=int, default=4)
    parser.add_argument("--new", type=int, default=16, help="tokens of an answer")
    parser.add_argument("--warm-only", action="store_true", help="compare no answers")
    parser.add_argument("--log", action="store_true", help="append the table to docs/lab-log.md")
    options = parser.parse_args()
    bench = Bench(options)
    rows = [bench.row(recipe) for recipe in ("", *options.recipes)]
    publish(f"later questions on one document, {options.model}", COLUMNS, rows, options.log)


@dataclass
class Asked:
    """A finished request."""

    seconds: float
    run: dict[str, Any]


class Bench:
    """The models, the document and its questions."""

    def __init__(self, options: argparse.Namespace) -> None:
        from forethought.models.hardware.native_settings import settle

        settle(os.environ)  # as the command line does, before torch starts
        import torch

        from forethought.models.load import load

        torch.set_num_threads(THREADS)
        self.options, self._load, self._models = options, load, {}
        tokenizer = self.model(options.model, "auto").tokenizer
        text = passage(prose(), options.tokens * 6, seed=0)
        self.document = tokenizer.decode(tokenizer.encode(text)[: options.tokens])
        about = ("copyright", "warranty", "source code", "termination", "patents", "fees")
        self.questions = [f"What does the text say about {word}?" for word in about]

    def model(self, name: str, weights: str) -> Any:
        """A loaded model."""
        if (name, weights) not in self._models:
            self._models[name, weights] = self._load(name, weights=weights)
        return self._models[name, weights]

    def session(self, recipe: Any, *, prefixes: bool) -> Any:
        """A live session, and its prefix cache."""
        from forethought.engine.cache.prefix_cache import PrefixCache
        from forethought.sessions.live_local import LocalOpener
        from forethought.sessions.live_session import LiveSession

        opener = LocalOpener(self.model, recipe)
        if prefixes:
            opener.backend.prefix_cache = PrefixCache(CACHE_BYTES)
        return LiveSession(opener), opener.backend.prefix_cache

    def ask(self, session: Any, recipe: Any, number: int, document: str) -> Asked:
        """Ask one question to its end."""
        from forethought.sessions.live_session import LiveRequest

        start, first = time.perf_counter(), None
        session.submit(LiveRequest(f"{number}", recipe, self.questions[number], document))
        while not session.idle:
            for _, event in session.step():
                if isinstance(event, Exception):
                    raise event
                if event.kind == "token" and first is None:
                    first = time.perf_counter() - start
                done = event
        assert first is not None, "an answer has tokens"
        return Asked(first, done.data["run"])

    def row(self, method: str) -> dict[str, Any]:
        """One recipe's row of the table."""
        from forethought.recipes.recipe import Recipe

        parsed = Recipe.parse(self.options.model + method)
        recipe = replace(parsed, max_tokens=self.options.new)
        self.ask(self.session(recipe, prefixes=False)[0], recipe, 0, self.document[:3000])
        session, cache = self.session(recipe, prefixes=True)
        count = range(self.options.questions)
        first, *later = (self.ask(session, recipe, n, self.document) for n in count)
        seconds = statistics.median(one.seconds for one in later)
        cost = later[-1].run["cost"]
        return {
            "recipe": method or "exact",
            "prompt": first.run["kept"]["of"],
            "first s": first.seconds,
            "later s": seconds,
            "× sooner": first.seconds / seconds,
            "cached": cost["cached_tokens"],
            "draft first": first.run["cost"]["draft_tokens"],
            "draft later": cost["draft_tokens"],
            "same answers": self.same(recipe, later),
            "cache MiB": cache.bytes / 2**20,
        }

    def same(self, recipe: Any, later: list[Asked]) -> str:
        """How many answers equal those without a prefix cache."""
        if self.options.warm_only:
            return ""
        session, _ = self.session(recipe, prefixes=False)
        plain = [self.ask(session, recipe, n, self.document) for n in range(1, len(later) + 1)]
        pairs = zip(plain, later, strict=True)
        return f"{sum(a.run['answer'] == b.run['answer'] for a, b in pairs)}/{len(later)}"


if __name__ == "__main__":
    main()

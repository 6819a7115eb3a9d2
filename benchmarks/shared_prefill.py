"""One shared prefill for many recipes: the time that a comparison saves against separate runs.

    python benchmarks/shared_prefill.py qwen-coder-0.5b --tokens 2000 [--log]

Eight recipes answer one question, together and one by one, in turns. Figures are medians over the
rounds. The program stops if the answers differ.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

from peers import THREADS
from prose import hidden, needle, passage, prose
from report import publish

METHODS = ["snapkv", "pyramidkv", "ada-snapkv", "streaming-llm", "expected-attention", "knorm",
           "laq", "h2o"]  # fmt: skip
COLUMNS = ["model", "prompt", "recipes", "one by one s", "together s", "×", "a further one s"]


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--tokens", type=int, default=2000)
    parser.add_argument("--keep", type=int, default=256)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--new", type=int, default=32, help="most tokens of an answer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--log", action="store_true", help="append the table to docs/lab-log.md")
    options = parser.parse_args()
    title = f"one shared prefill for many recipes, {options.model}"
    publish(title, COLUMNS, [measure(options)], options.log)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The row of the table."""
    import torch

    from forethought.recipes.recipe import Recipe
    from forethought.sessions.batch import Answers, BatchQuestion

    torch.set_num_threads(THREADS)
    answers = Answers()
    tokenizer = answers.model(options.model, "auto").tokenizer
    sentence, question, _ = needle(0)
    text = passage(prose(), options.tokens * 6, seed=0)
    text = tokenizer.decode(tokenizer.encode(text)[: options.tokens])
    asks = [
        BatchQuestion(
            Recipe(
                model=options.model,
                approximate=(f"{method}(keep={options.keep})",),
                max_tokens=options.new,
            ),
            question,
            hidden(text, sentence, 0.5),
        )
        for method in options.methods
    ]

    def timed(groups: list[list[BatchQuestion]]) -> tuple[float, list[Any]]:
        start = time.perf_counter()
        runs = {}
        for group in groups:
            for answered in answers.answer(group):
                runs[group[answered.place]] = answered.run
        return time.perf_counter() - start, [runs[ask] for group in groups for ask in group]

    timed([asks[:1]])  # warms up
    alone, together, fewer = [], [], []
    for _ in range(options.rounds):
        seconds, apart = timed([[ask] for ask in asks])
        alone.append(seconds)
        seconds, shared = timed([asks])
        together.append(seconds)
        assert [run.answer for run in apart] == [run.answer for run in shared]
        start = time.perf_counter()
        list(answers.answer(asks[:-1]))
        fewer.append(time.perf_counter() - start)
    one, all_, less = (statistics.median(values) for values in (alone, together, fewer))
    return {
        "model": options.model,
        "prompt": shared[0].kept.of,
        "recipes": len(asks),
        "one by one s": one,
        "together s": all_,
        "×": one / all_,
        "a further one s": all_ - less,
    }


if __name__ == "__main__":
    main()
